"""Takes in submissions: from a platform's download, a folder, or nbgrader's exchange."""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

from dockyard.classroom import records
from dockyard.classroom.intake.archives import in_folder, in_zip, shown
from dockyard.classroom.intake.exchange import from_exchange
from dockyard.classroom.intake.taking import Outcome, Status, take
from dockyard.classroom.intake.uploads import by_learner
from dockyard.course import Exercise
from dockyard.errors import LabError, UnknownName
from dockyard.settings import Say, quiet


def collect(exercise: Exercise, source: Path | None = None, say: Say = quiet) -> list[Outcome]:
    """Take in submissions to where nbgrader keeps them; what is there of others stays.

    Args:
        source: a zip or a folder; nbgrader's exchange by default.

    Raises:
        UnknownName: there are no submissions.
        LabError: Ctrl-C.
        CourseError: nbgrader_config.py is missing or broken.
    """
    found = from_exchange(exercise.id) if source is None else _from_source(exercise.id, source)
    outcomes = []
    try:
        for outcome in found:
            outcomes.append(outcome)
            if outcome.status != "unchanged":
                say(str(outcome))
    except KeyboardInterrupt:
        raise LabError("Collecting was ended. The same command goes on from here.") from None
    return outcomes


def to_text(outcomes: list[Outcome], exercise: Exercise) -> str:
    """The last line: how many of each, and what comes next."""
    counts = Counter(each.status for each in outcomes)
    numbers = ", ".join(f"{status} {counts[status]}" for status in get_args(Status))
    return f"{numbers.capitalize()}. Next: dockyard grade {exercise.id}"


def to_json(outcomes: list[Outcome]) -> str:
    """A list with one object for each upload."""
    fields = ("learner", "status", "files", "reason")
    rows = [{field: getattr(each, field) for field in fields} for each in outcomes]
    return json.dumps(rows, indent=1)


def _from_source(exercise: str, source: Path) -> Iterator[Outcome]:
    layouts = (
        "A zip or a folder has them as Moodle, Canvas or Blackboard let you download them, or as "
        f"<learner>/{exercise}/<files>, <learner>/<files>, <learner>.ipynb or <learner>.zip."
    )
    try:
        files = in_folder(source.resolve()) if source.is_dir() else in_zip(source)
    except FileNotFoundError:
        raise UnknownName(f'There is no "{source}" to collect from. {layouts}') from None
    except Exception as error:  # zipfile has another kind for each way to be broken
        raise UnknownName(f'"{source}" is no zip that can be read: {error}. {layouts}') from None
    uploads, nobodys = by_learner(files, exercise)
    left_out = [_left_out(names) for names in nobodys.values()]
    if not uploads:
        names = ", ".join(f'"{each.learner}"' for each in left_out[:3]) or "nothing"
        raise UnknownName(f'In "{source}" is {names}, and no submission. {layouts}')
    yield from left_out
    for learner in sorted(uploads):
        yield take(uploads[learner], records.folder() / "submitted" / learner / exercise)


def _left_out(names: list[str]) -> Outcome:
    why = "its name does not tell whose it is; put it into a folder named for its learner"
    return Outcome(shown(names[0])[1:-1], "left out", len(names), why, True)
