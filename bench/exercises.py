"""Every exercise: how big it is, and what solving and checking it takes."""

from collections.abc import Iterator

import docker
import msgspec

from bench import labs
from bench.measure import Figure, Stopwatch
from dockyard import checker, grading, lifecycle, solution
from dockyard.course import Exercise, exercise_ids, load_exercise
from dockyard.errors import LabError
from dockyard.lab import LabName


def measure(engine: docker.DockerClient, _: Exercise) -> Iterator[Figure]:
    for exercise in map(load_exercise, exercise_ids()):
        watch = Stopwatch()
        try:
            lifecycle.reset(engine, exercise, labs.LEARNER)
            watch.note("untouched", checker.check(exercise, labs.LEARNER).seconds)
            with watch.time("solve"):
                solution.solve(engine, exercise, labs.LEARNER)
            report = checker.check(exercise, labs.LEARNER)
            watch.note("solved", report.seconds)
        finally:
            lifecycle.down(engine, LabName(exercise.id, labs.LEARNER))
        if not report.passed:
            raise LabError(f'The solved lab of "{exercise.id}" does not pass.')
        yield Figure(f"{exercise.id} ({_size(exercise)}): solve", watch.series("solve"), "s")
        yield Figure("… check, untouched", watch.series("untouched"), "s")
        yield Figure("… check, solved", watch.series("solved"), "s")


def _size(exercise: Exercise) -> str:
    criteria = grading.criteria(exercise)
    misses = msgspec.toml.decode((exercise.folder / "near_misses.toml").read_bytes())["near_miss"]
    probes = sum(each.probe or each.disturbs for each in criteria)
    return (
        f"{len(exercise.tasks)} tasks, {len(criteria)} criteria, {probes} probes, "
        f"{len(misses)} near misses"
    )
