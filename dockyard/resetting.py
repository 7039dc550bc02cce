"""Labs brought back to the start: one, a learner's, or a room's; each failure is one lab's only."""

import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass

import docker

from dockyard import engine as engines
from dockyard import keeping, lifecycle, solution
from dockyard.course import Exercise, load_exercise
from dockyard.errors import reason
from dockyard.keeper import Keeper
from dockyard.lab import EXERCISE_LABEL, LEARNER_LABEL, SITE_LABEL, LabName, all_names
from dockyard.lifecycle import Removed
from dockyard.settings import Say, site

#: What is removed, or starts, at once for each core; solving keeps a core busy by itself.
FOR_EACH_CORE = 2


@dataclass(frozen=True)
class Outcome:
    """What became of one lab: what went of it, or why it is not reset."""

    lab: LabName
    seconds: float
    removed: Removed | None = None
    error: Exception | None = None

    def __str__(self) -> str:
        if self.error:
            return f'Not reset: "{self.lab.label}", after {self.seconds:.1f} s: {self.why}'
        return f"Removed {self.removed}, in {self.seconds:.1f} s."

    @property
    def why(self) -> str:
        return reason(self.error) if self.error else ""

    def row(self) -> dict[str, object]:
        removed = self.removed or Removed(self.lab.label, 0, 0, 0)
        return {**vars(removed), "seconds": round(self.seconds, 3), "error": self.why}


def mine(
    keeper: Keeper,
    learner: str,
    exercise: Exercise | None,
    task: str | None,
    say: Say,
) -> Iterator[Outcome]:
    """A learner's lab of an exercise is new, or all that the learner has; then solved up to *task*.

    One at a time: labs of different exercises may want the same image made.
    """
    names = [LabName(exercise.id, learner)] if exercise else [*keeper.labs(learner)]
    return _each(lambda name: _renew(keeper, name, task, say), names, at_once=1)


def room(
    engine: docker.DockerClient, exercise: Exercise, task: str | None, say: Say
) -> Iterator[Outcome]:
    """Every learner's lab of an exercise is new, several at a time; then solved up to *task*.

    Raises:
        UnknownName: this kit has no solutions. Nothing was done.
    """
    if task:
        solution.cells(exercise)
    names = _of_learners(engine, exercise)
    if names:
        lifecycle.prepare(engine, exercise, say)  # once, not by each

    keeper = keeping.Engine(engine)

    def renew(name: LabName) -> Removed:
        return _renew(keeper, name, task, lambda line: say(f"{name.learner}: {line}"))

    return _each(renew, names, at_once=_cores() * (1 if task else FOR_EACH_CORE))


def clear(engine: docker.DockerClient) -> Iterator[Outcome]:
    """All labs of everyone are removed."""
    at_once = _cores() * FOR_EACH_CORE
    return _each(lambda name: lifecycle.down(engine, name), all_names(engine), at_once)


def _renew(keeper: Keeper, name: LabName, task: str | None, say: Say) -> Removed:
    exercise = load_exercise(name.exercise)
    if task:
        return solution.solve(engines.connect(), exercise, name.learner, task, say)
    return keeper.reset(exercise, name.learner, say)[1]


def _of_learners(engine: docker.DockerClient, exercise: Exercise) -> list[LabName]:
    """Not sealed ones, in which a submission is being graded."""
    labels = [f"{SITE_LABEL}={site()}", f"{EXERCISE_LABEL}={exercise.id}"]
    networks = engine.networks.list(filters={"label": labels})
    learners = [each.attrs["Labels"][LEARNER_LABEL] for each in networks
                if not each.attrs["Internal"]]  # fmt: skip
    return [LabName(exercise.id, learner) for learner in sorted(set(learners))]


def _each(
    work: Callable[[LabName], Removed], names: list[LabName], at_once: int
) -> Iterator[Outcome]:
    """Do *work* for each lab; what became of it, as soon as it is done."""

    def timed(name: LabName) -> Outcome:
        began = time.monotonic()
        try:
            removed = work(name)
        except Exception as error:  # whatever it is, the others go on
            return Outcome(name, time.monotonic() - began, error=error)
        return Outcome(name, time.monotonic() - began, removed)

    with ThreadPoolExecutor(at_once) as pool:
        try:
            for done in as_completed([pool.submit(timed, name) for name in names]):
                yield done.result()
        finally:  # Ctrl-C: what has begun comes to its end, nothing else begins
            pool.shutdown(cancel_futures=True)


def _cores() -> int:
    return os.cpu_count() or 1
