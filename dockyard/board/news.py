"""What a board is told, as JSON. Whoever is in the room's network can write such a letter."""

from collections.abc import Callable
from typing import Annotated

import msgspec
from msgspec import Meta

from dockyard.report import Outcome, Report

#: Characters of a name, and of what was expected or found; bytes of a letter.
MOST_NAME, MOST_TEXT, MOST_BYTES = 64, 500, 2**17
#: The sender of a letter that came from this machine: it needs no name.
HERE = ""

Name = Annotated[str, Meta(min_length=1, max_length=MOST_NAME)]
Text = Annotated[str, Meta(max_length=MOST_TEXT)]


class Found(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """A criterion's outcome. Its title and points are the board's own: nobody sends them."""

    id: Name
    outcome: Outcome
    expected: Text = ""
    found: Text = ""
    skipped: bool = False


class Look(msgspec.Struct, frozen=True, tag="look", forbid_unknown_fields=True):
    """A lab was looked at."""

    exercise: Name
    learner: Name
    criteria: Annotated[list[Found], Meta(max_length=100)]


class Help(msgspec.Struct, frozen=True, tag="help", forbid_unknown_fields=True):
    """Somebody asks for help, or does so no longer."""

    exercise: Name
    learner: Name
    wanted: bool


class Gone(msgspec.Struct, frozen=True, tag="gone", forbid_unknown_fields=True):
    """The sender shares no longer: what came of it is to be forgotten."""


News = Look | Help | Gone
#: News are made only where somebody hears them.
Make = Callable[[], News]


class Letter(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """News, and a secret by which the board knows their sender again."""

    sender: Annotated[str, Meta(pattern="^([0-9a-f]{32})?$")]
    news: News


def of_report(report: Report) -> Look:
    """A report as news; what is too long is cut."""
    found = [
        Found(
            id=each.id,
            outcome=each.outcome,
            expected=plain(each.expected, MOST_TEXT),
            found=plain(each.found, MOST_TEXT),
            skipped=each.skipped,
        )
        for each in report.criteria
    ]
    return Look(report.exercise, plain(report.learner, MOST_NAME), found)


def plain(text: str, most: int) -> str:
    """One line without signs that nobody sees, such as those that turn what follows around."""
    line = "".join(sign if sign.isprintable() else " " for sign in text[: 2 * most]).strip()
    return line if len(line) <= most else f"{line[: most - 1]}…"


def encode(sender: str, news: News) -> bytes:
    return msgspec.json.encode(Letter(sender, news))


def decode(body: bytes) -> Letter:
    """What a letter says.

    Raises:
        ValueError: it is none.
    """
    try:
        return msgspec.json.decode(body, type=Letter)
    except RecursionError:
        raise ValueError("too deep") from None
