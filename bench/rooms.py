"""A room: many learners' labs on one machine, what each takes, and how they all go."""

import time
from collections.abc import Iterator

import docker
import psutil

from bench.measure import Figure, Series, Stopwatch
from dockyard import hosts, lifecycle, room, solution
from dockyard.course import Exercise
from dockyard.lab import LabName, all_names, containers, side_by_side

LEARNERS = [f"bench{number}" for number in range(10)]
CALM = 30  # seconds for which nobody works


def measure(engine: docker.DockerClient, exercise: Exercise) -> Iterator[Figure]:
    """Ten labs one after the other, as a room fills; then all of them solved; then all gone."""
    lifecycle.prepare(engine, exercise)
    watch = Stopwatch()
    before = _listing(engine)
    free = psutil.virtual_memory().available
    try:
        for learner in LEARNERS:
            with watch.time("up"):
                lifecycle.up(engine, exercise, learner)
        yield Figure("one of ten labs up, one after the other", watch.series("up"), "s")
        taken = (free - psutil.virtual_memory().available) / len(LEARNERS) / 2**20
        yield Figure("… memory of the machine, each", Series([taken]), "MiB")
        yield Figure("… cores while nobody works, each host", Series([_cores(engine)]), "cores",
                     most=room.CORE)  # fmt: skip
        for learner in LEARNERS[:2]:  # what the others take is the same
            solution.solve(engine, exercise, learner)
        solved = [each for learner in LEARNERS[:2] for each in _memory(engine, exercise, learner)]
        yield Figure("memory of a host, its exercise solved", Series(solved), "MB",
                     most=room.MEMORY / 1e6)  # fmt: skip
    finally:
        with watch.time("gone"):
            mine = [name for name in all_names(engine) if name.learner in LEARNERS]
            side_by_side(lambda name: lifecycle.down(engine, name), mine)
    yield Figure("ten labs removed at once", watch.series("gone"), "s")
    yield Figure("… what is listed that was not before", Series([float(_listing(engine) - before)]),
                 "things", most=0)  # fmt: skip


def _listing(engine: docker.DockerClient) -> int:
    api = engine.api
    there = [api.containers(all=True), api.networks(), api.volumes()["Volumes"] or []]
    return sum(map(len, there))


def _memory(engine: docker.DockerClient, exercise: Exercise, learner: str) -> list[float]:
    there = containers(engine, LabName(exercise.id, learner))
    return [hosts.memory(host) / 1e6 for host in there.values()]


def _cores(engine: docker.DockerClient) -> float:
    """What all programs of the machine use together, for each host, while nothing is asked."""
    there = sum(len(containers(engine, name)) for name in all_names(engine))
    before, began = psutil.cpu_times(), time.perf_counter()
    psutil.cpu_percent(interval=CALM)
    after, took = psutil.cpu_times(), time.perf_counter() - began
    idle = (after.idle - before.idle) + (after.iowait - before.iowait)
    return (took * (psutil.cpu_count() or 1) - idle) / took / there
