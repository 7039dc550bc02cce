"""One host, two hosts."""


def counted(number: int, noun: str, nouns: str = "") -> str:
    """A number of things, for a person to read."""
    return f"{number} {noun if number == 1 else nouns or noun + 's'}"
