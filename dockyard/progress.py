"""How far a learner has come, kept on this machine: what was ever met stays met.

A lab that is started over, or removed, takes the present state with it; what somebody has learnt
it does not.
"""

from pathlib import Path

import msgspec

from dockyard import files, timeline
from dockyard.board import sharing
from dockyard.course import Exercise
from dockyard.lab import LabName
from dockyard.report import Report


class Reached(msgspec.Struct, frozen=True):
    """The best that was found of one criterion."""

    task: str
    points: float
    max_points: float


class Progress(msgspec.Struct, frozen=True):
    """One exercise.

    Attributes:
        criteria: by id; empty before the first look.
    """

    criteria: dict[str, Reached] = {}

    @property
    def points(self) -> float:
        return sum(each.points for each in self.criteria.values())

    @property
    def max_points(self) -> float:
        return sum(each.max_points for each in self.criteria.values())

    def open_task(self, exercise: Exercise) -> str | None:
        """The first task that is not done, if any is not."""
        missing = {each.task for each in self.criteria.values() if each.points < each.max_points}
        known = {each.task for each in self.criteria.values()}
        return next((t.id for t in exercise.tasks if t.id in missing or t.id not in known), None)


def remember(report: Report) -> None:
    """Keep what is better than before, and what has turned; errors are nobody's.

    Whatever checks passes here, so boards are told here, too.
    """
    sharing.tell(report)
    timeline.record_report(report)
    before = of(report.exercise, report.learner).criteria
    now = dict(before)
    for each in report.criteria:
        if each.outcome != "error":
            best = before[each.id].points if each.id in before else 0.0
            now[each.id] = Reached(each.task, max(best, each.points), each.max_points)
    if now != before:
        files.write(_path(report.exercise, report.learner), msgspec.json.encode(Progress(now)))


def of(exercise_id: str, learner: str) -> Progress:
    """What is known; nothing, where the file is missing or broken."""
    try:
        return msgspec.json.decode(_path(exercise_id, learner).read_bytes(), type=Progress)
    except (OSError, msgspec.MsgspecError):
        return Progress()


def _path(exercise_id: str, learner: str) -> Path:
    return LabName(exercise_id, learner).reached.with_suffix(".json")
