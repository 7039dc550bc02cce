"""How people liked a talk."""

from math import sumprod


def average(counts: dict[int, int]) -> float:
    """The average of the stars given; 0 where nobody has voted yet.

    Args:
        counts: how many people gave one star, two stars and so on.
    """
    return round(sumprod(counts.keys(), counts.values()) / sum(counts.values()), 1)
