"""One host, two hosts."""


def counted(number: int, noun: str) -> str:
    """A number of things, for a person to read."""
    return f"{number} {noun}{'s' * (number != 1)}"
