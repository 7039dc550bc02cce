"""A whole check, of criteria that kill nothing."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import docker

from bench import labs
from bench.measure import Figure, Stopwatch
from dockyard import checker, lifecycle, settings, solution
from dockyard.course import Exercise
from dockyard.errors import LabError
from dockyard.lab import LabName

TASKS = ["form-the-swarm", "deploy-the-app", "scale-the-vote"]
ROUNDS = 7
#: Appended to a copy of the grader: forget the criteria of later tasks, and those that disturb.
ONLY_THESE = f"""
for _name, _test in list(globals().items()):
    if _name.startswith("test_"):
        _says = _test.pytestmark[0].kwargs
        if _says["task"] not in {TASKS!r} or _says.get("disturbs"):
            del globals()[_name]
"""


def measure(engine: docker.DockerClient, exercise: Exercise) -> Iterator[Figure]:
    watch = Stopwatch()
    try:
        solution.solve(engine, exercise, labs.LEARNER, TASKS[-1])
        with _checker_of_quiet_criteria(exercise):
            count = _check(exercise, Stopwatch())  # the first one waits for imports
            for _ in range(ROUNDS):
                with watch.time("asked"):
                    _check(exercise, watch)
                for task in TASKS:
                    _check(exercise, watch, task)
    finally:
        lifecycle.down(engine, LabName(exercise.id, labs.LEARNER))
    whole = watch.series("whole")
    yield Figure(f"a whole check: {count} criteria that kill nothing", whole, "s", most=0.5)
    yield Figure("… as its caller sees it", watch.series("asked"), "s", "the check alone", whole)
    for task in TASKS:
        yield Figure(f"… of {task} alone, with what it needs", watch.series(task), "s")


def _check(exercise: Exercise, watch: Stopwatch, task: str | None = None) -> int:
    report = checker.check(exercise, labs.LEARNER, task)
    if not report.passed:
        found = [f"{each.title}: {each.found}" for each in report.criteria if not each.points]
        raise LabError(f"The solved lab does not pass. {'; '.join(found)}")
    watch.note(task or "whole", report.seconds)
    return len(report.criteria)


@contextmanager
def _checker_of_quiet_criteria(exercise: Exercise) -> Iterator[None]:
    """Start the checker on a copy of the course in which the other criteria are forgotten."""
    before = dict(os.environ)
    with tempfile.TemporaryDirectory(prefix="dockyard-bench-") as folder:
        course = Path(folder)
        for name in ("images", "exercises"):
            (course / name).symlink_to(settings.course_dir() / name)
        shutil.copytree(exercise.grader.parent, course / "graders")
        with (course / "graders" / exercise.grader.name).open("a") as grader:
            grader.write(ONLY_THESE)
        os.environ["DOCKYARD_STATE"] = str(settings.state_dir())
        os.environ["DOCKYARD_COURSE"] = folder
        try:
            checker.warm_up()
        finally:
            os.environ.clear()
            os.environ.update(before)
        yield
        checker.stop()  # it knows this course only
