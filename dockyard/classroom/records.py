"""What came of grading: one record for each submission, on disk as soon as it is known."""

import hashlib
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Literal

import msgspec

from dockyard.classroom.submissions import hash_of, walk
from dockyard.course import Exercise
from dockyard.recipes import recipe
from dockyard.report import Report
from dockyard.settings import course_dir

Status = Literal["graded", "set aside", "not graded"]


class Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What came of grading one submission.

    Attributes:
        reason: why there are no points; or what an instructor should know beside them.
        submission: the hash of what was graded.
        made_by: versions of what decided the points.
        seconds: where the time went.
    """

    learner: str
    exercise: str
    status: Status
    reason: str = ""
    submission: str = ""
    made_by: dict[str, str] = {}
    seconds: dict[str, float] = {}
    report: Report | None = None

    def holds(self, submission: str, made_by: dict[str, str]) -> bool:
        """Whether grading again would come to the same.

        Other images or another Dockyard make no other points; another grader may.
        """
        same = all(self.made_by.get(each) == made_by[each] for each in ("grader", "exercise"))
        return self.status != "not graded" and self.submission == submission and same


@dataclass(frozen=True)
class Result:
    """What came of a run.

    Attributes:
        records: one for each submission, those of earlier runs included.
        earlier: how many of them an earlier run has made.
    """

    records: list[Record]
    earlier: int

    def count(self, status: Status) -> int:
        return sum(record.status == status for record in self.records)

    @property
    def exit_code(self) -> int:
        if self.count("not graded"):
            return 2
        return 1 if self.count("set aside") else 0


def folder() -> Path:
    """Where all that grading makes is kept; nbgrader_config.py names it, too."""
    return course_dir() / "grading"


def owner() -> str:
    """What the names of the learners begin with to whom labs of submissions belong.

    Nothing of such a name outlives a run. Another grading folder has another one, so that two
    of them stay apart.
    """
    return f"grading-{hashlib.sha256(str(folder()).encode()).hexdigest()[:6]}."


def path_of(learner: str, exercise: str) -> Path:
    return folder() / "reports" / learner / f"{exercise}.json"


def log_of(learner: str, exercise: str) -> Path:
    return folder() / "logs" / learner / f"{exercise}.log"


def feedback_of(learner: str, exercise: str) -> Path:
    return folder() / "feedback" / learner / exercise / f"{exercise}.html"


def scratch(learner: str = "") -> Path:
    """For what is of use only while a submission is being graded."""
    return folder() / "tmp" / learner


def save(record: Record) -> None:
    """Write a record: whole or not at all, also when killed."""
    path = path_of(record.learner, record.exercise)
    path.parent.mkdir(parents=True, exist_ok=True)
    making = path.with_suffix(".new")
    making.write_bytes(msgspec.json.format(msgspec.json.encode(record), indent=1))
    making.replace(path)


def load(learner: str, exercise: str) -> Record | None:
    """The record of an earlier run, if there is one that can be read."""
    try:
        return msgspec.json.decode(path_of(learner, exercise).read_bytes(), type=Record)
    except (OSError, ValueError):  # a broken one is worth no more than none: grade again
        return None


def forget(learner: str, exercise: str) -> None:
    """Remove the record of an earlier run."""
    path_of(learner, exercise).unlink(missing_ok=True)


def made_by(exercise: Exercise) -> dict[str, str]:
    """Versions of all that has to do with a submission's points."""
    graders = exercise.grader.parent
    nouns = [path for path in walk(graders) if not path.name.startswith("grade_")]
    source = [path for path in walk(exercise.folder) if path.name != "near_misses.toml"]
    recipes = [recipe(name).hash for name in ("host", *exercise.lab.images)]
    return {
        "dockyard": version("dockyard"),
        "nbgrader": version("nbgrader"),
        "grader": hash_of(graders, [*nouns, Path(exercise.grader.name)]),
        "exercise": hash_of(exercise.folder, source),
        "images": hashlib.sha256("".join(recipes).encode()).hexdigest()[:16],
    }
