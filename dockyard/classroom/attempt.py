"""One submission in one fresh lab: its notebook runs in a sandbox, then the lab is looked at.

JSON goes in and comes out, so an attempt can be made on any machine that has an engine and this
course, and repeated at will: it leaves nothing behind.
"""

import time
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import docker
import msgspec

from dockyard import checker, lifecycle
from dockyard import engine as engines
from dockyard.classroom import sandbox, tampering
from dockyard.classroom.sandbox import Limits, Output
from dockyard.classroom.submissions import walk
from dockyard.course import Exercise, load_exercise
from dockyard.errors import LabError
from dockyard.lab import Lab, LabName
from dockyard.release import PRIVATE
from dockyard.report import Report


class Request(msgspec.Struct, frozen=True):
    """What to run, and for whom.

    Attributes:
        learner: to whom the lab belongs; not the name that a report shows.
        files: what was handed in beside the notebook, in base64.
    """

    exercise: str
    learner: str
    cells: list[dict[str, Any]]
    files: dict[str, str]
    limits: Limits


class Outcome(msgspec.Struct, frozen=True):
    """What came of it.

    Attributes:
        remark: what an instructor should know beside the points.
        tampering: how the lab's hosts were tampered with; then the points are worth nothing.
        seconds: where the time went.
    """

    report: Report
    outputs: list[list[Output]]
    remark: str
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


def attempt(request: bytes) -> bytes:
    """Grade a submission as far as its lab goes.

    Raises:
        LabError, EngineError, …: nobody knows what it is worth.
    """
    asked = msgspec.json.decode(request, type=Request)
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
    return msgspec.json.encode(done)


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
    engine = engines.connect()
    checker.warm_up()
    with fresh_lab(engine, exercise, asked.learner) as lab:
        clock.lap("lab")
        before = tampering.look(engine, lab)
        ran = sandbox.run(engine, lab, asked.cells, files, asked.limits)
        clock.lap("notebook")
        signs = tampering.signs(before, tampering.look(engine, lab))
        report = checker.check(exercise, asked.learner)
        clock.lap("check")
    clock.lap("removal")
    if report.points is None and not signs:
        raise LabError(report.errors[0].found)
    return Outcome(report, ran.outputs, ran.remark, signs, clock.seconds)


@contextmanager
def fresh_lab(engine: docker.DockerClient, exercise: Exercise, learner: str) -> Iterator[Lab]:
    """A sealed lab on which nobody has worked; removed again, whatever happens."""
    name = LabName(exercise.id, learner)
    lifecycle.down(engine, name)  # of a run that was killed
    try:
        yield lifecycle.up(engine, exercise, learner, sealed=True)
    finally:
        lifecycle.down(engine, name)


class Clock:
    """Where the time went."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.monotonic()

    def lap(self, name: str) -> None:
        now = time.monotonic()
        self.seconds[name] = round(self.seconds.get(name, 0.0) + now - self._last, 2)
        self._last = now
