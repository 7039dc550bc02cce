"""One submission in one fresh lab: its notebook runs in a sandbox, then the lab is looked at.

JSON goes in and comes out, so an attempt can be made on any machine that has an engine and this
course, and repeated at will: it leaves nothing behind.
"""

import time
import traceback
from base64 import b64decode
from pathlib import Path
from typing import Any

import msgspec

from dockyard import checker
from dockyard.classroom import places, tampering
from dockyard.classroom.sandbox import Limits, Output
from dockyard.classroom.submissions import walk
from dockyard.course import Exercise, load_exercise
from dockyard.errors import LabError, reason
from dockyard.picture import look
from dockyard.picture.scene import Scene
from dockyard.release import PRIVATE
from dockyard.report import Report


class Request(msgspec.Struct, frozen=True):
    """What to run.

    Attributes:
        owner: what names of labs begin with; not a name that a report shows.
        files: what was handed in beside the notebook, in base64.
        waiting: how many others will want a lab after this one.
    """

    exercise: str
    owner: str
    cells: list[dict[str, Any]]
    files: dict[str, str]
    limits: Limits
    waiting: int = 0


class Outcome(msgspec.Struct, frozen=True):
    """What came of it.

    Attributes:
        remark: what an instructor should know beside the points.
        scene: what the lab's hosts ran when the notebook was done.
        tampering: how the lab's hosts were tampered with; then the points are worth nothing.
        seconds: where the time went.
    """

    report: Report
    outputs: list[list[Output]]
    remark: str
    scene: Scene
    tampering: list[str]
    seconds: dict[str, float]

    @property
    def points(self) -> float:
        return self.report.points or 0.0

    @property
    def stumbled(self) -> bool:
        """Whether points are missing, and a cell ended with an error."""
        errors = any(each.output_type == "error" for cell in self.outputs for each in cell)
        return not self.report.passed and errors


class Answer(msgspec.Struct, frozen=True):
    """What came of an attempt; or why nobody knows what the submission is worth, and the log."""

    outcome: Outcome | None = None
    error: str = ""
    log: str = ""


def attempt(request: bytes) -> bytes:
    """Grade a submission as far as its lab goes."""
    try:
        answer = Answer(_attempt(msgspec.json.decode(request, type=Request)))
    except Exception as error:
        answer = Answer(error=reason(error), log=traceback.format_exc())
    return msgspec.json.encode(answer)


def _attempt(asked: Request) -> Outcome:
    exercise = load_exercise(asked.exercise)
    ours = files_beside(exercise.notebook)
    theirs = {name: b64decode(data) for name, data in asked.files.items()}
    done = _in_fresh_lab(exercise, asked, {**ours, **theirs})
    if done.stumbled and any(ours.get(name, data) != data for name, data in theirs.items()):
        # Cells that change a file stumble over one that they have changed already.
        again = _in_fresh_lab(exercise, asked, {**theirs, **ours})
        if again.points > done.points:
            remark = f"Started from the exercise's own files. {again.remark}".strip()
            done = msgspec.structs.replace(again, remark=remark)
    return done


def files_beside(notebook: Path) -> dict[str, bytes]:
    """The files that a learner's notebook finds in its folder."""
    folder = notebook.parent
    return {
        str(file): (folder / file).read_bytes()
        for file in walk(folder)
        if file.suffix != ".ipynb" and file.name not in PRIVATE
    }


def _in_fresh_lab(exercise: Exercise, asked: Request, files: dict[str, bytes]) -> Outcome:
    clock = Clock()
    checker.warm_up()
    with places.of(exercise, asked.owner).take(asked.waiting) as place:
        clock.lap("lab")
        ran = place.sandbox.run(asked.cells, files, asked.limits)
        clock.lap("notebook")
        signs = tampering.signs(place.engine, place.lab, place.before)
        scene = look(place.lab)  # before probes disturb it
        report = checker.check(exercise, place.lab.name.learner)
        clock.lap("check")
    clock.lap("removal")
    if report.points is None and not signs:
        raise LabError(report.errors[0].found)
    return Outcome(report, ran.outputs, ran.remark, scene, signs, clock.seconds)


class Clock:
    """Where the time went."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.monotonic()

    def lap(self, name: str) -> None:
        now = time.monotonic()
        self.seconds[name] = round(self.seconds.get(name, 0.0) + now - self._last, 2)
        self._last = now
