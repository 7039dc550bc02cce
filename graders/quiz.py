"""What the learner answered to the quiz of 08_production."""

from hashlib import sha256
from typing import Any

from docker.errors import NotFound

#: The right answers, hashed, for this file is in the learners' kit too. That keeps them from being
#: read by accident, and from nothing else: with four letters to try, anybody can work them out.
#: Nothing is to be gained by it, either, for the reasons open with any answer.
RIGHT = {
    "platform": {
        "bakery": "cb70d14fc72cf1c8",
        "office": "415e659703f5e8fc",
        "bank": "72d0be31ef3fdfbe",
        "studio": "f47960d34bd6f0f3",
        "founders": "606ef338ff423fb2",
    },
    "topics": {
        "storage": "9769b9f3491439be",
        "network": "c8836da3358eedbb",
        "unikernel": "f6ffe4f4420436a2",
        "warm-up": "840a33aa5acd8d23",
        "next-step": "3196be1936856e6d",
    },
}
ENOUGH = 4  # right answers of five
EXPECTED = f"at least {ENOUGH} of 5 right"


def judge(about: str, lab: Any) -> tuple[bool, str]:
    """Whether enough answers are right; and which are not, for the learner."""
    given, right = _answers(lab.client(lab.hosts[0])), RIGHT[about]
    missing = [name for name in right if name not in given]
    wrong = [name for name in given if name in right and _sealed(name, given[name]) != right[name]]
    count = len(right) - len(wrong) - len(missing)
    found = f"{count} right"
    found += f"; not the best: {', '.join(sorted(wrong))}" if wrong else ""
    found += f"; no answer: {', '.join(missing)}" if missing else ""
    return count >= ENOUGH, found


def _answers(client: Any) -> dict[str, str]:
    """The labels of a volume, where the learner's quiz.py keeps the answers."""
    try:
        return client.volumes.get("quiz").attrs["Labels"] or {}
    except NotFound:
        return {}


def _sealed(name: str, letter: str) -> str:
    return sha256(f"dockyard 08_production {name} {letter}".encode()).hexdigest()[:16]
