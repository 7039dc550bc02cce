"""A lab's life beside the time that plain containers take, and what it weighs."""

from collections.abc import Iterator
from contextlib import contextmanager

import docker

from bench import anatomy
from bench.measure import Figure, Series, Stopwatch
from dockyard import hosts, images, lifecycle
from dockyard.course import Exercise
from dockyard.lab import HOST_LABEL, Lab, LabName, containers, side_by_side
from dockyard.shell import Shell
from dockyard.waiting import wait_until

LEARNER = "bench"
ROUNDS = 5


@contextmanager
def started(
    engine: docker.DockerClient, exercise: Exercise, learner: str = LEARNER
) -> Iterator[Lab]:
    """A lab that is gone afterwards, whatever happens."""
    try:
        yield lifecycle.up(engine, exercise, learner)
    finally:
        lifecycle.down(engine, LabName(exercise.id, learner))


def measure(engine: docker.DockerClient, exercise: Exercise) -> Iterator[Figure]:
    """Every round measures everything in turn, so that a busy moment hits all alike."""
    watch = Stopwatch()
    with started(engine, exercise):
        pass  # makes images, seed and whatever else only a first lab waits for
    for _ in range(ROUNDS):
        _plain_containers(engine, exercise, watch)
        try:
            _round(engine, exercise, watch)
        finally:
            lifecycle.down(engine, LabName(exercise.id, LEARNER))
    yield from _figures(watch)


def _round(engine: docker.DockerClient, exercise: Exercise, watch: Stopwatch) -> None:
    name = LabName(exercise.id, LEARNER)
    with watch.time("up"):
        lab = lifecycle.up(engine, exercise, LEARNER)
    for stage, took in anatomy.of_up(engine, name, watch.started, watch.ended).items():
        watch.note(f"… of up: {stage}", took)
    for host_disk in _disk(engine, name):
        watch.note("disk", host_disk)
    there = containers(engine, name).values()
    watch.note("memory", sum(map(hosts.memory, there)) / 2**20)
    with watch.time("swarm"):
        form_swarm(lab)
    with watch.time("reset"):
        lab, _ = lifecycle.reset(engine, exercise, LEARNER)
    form_swarm(lab)  # so that down removes the same as reset
    with watch.time("down"):
        lifecycle.down(engine, name)


def _figures(watch: Stopwatch) -> Iterator[Figure]:
    plain = watch.series("plain")
    both = Series([a + b for a, b in zip(watch.all["down"], watch.all["up"], strict=True)])
    up, reset = watch.series("up"), watch.series("reset")
    yield Figure(
        "three hosts up, with TLS and images", up, "s", "three plain containers", plain, slower=2.5
    )
    yield Figure("swarm formed: init, two joins, all Ready", watch.series("swarm"), "s", most=1.2)
    yield Figure("reset to fresh", reset, "s", "down + up", both, slower=1.2)
    yield Figure("disk of one fresh host", watch.series("disk"), "MB", most=5)
    yield Figure("memory of an idle lab of three", watch.series("memory"), "MiB", most=150)
    for name in watch.all:
        if name.startswith("…"):
            yield Figure(name, watch.series(name), "s")


def _plain_containers(engine: docker.DockerClient, exercise: Exercise, watch: Stopwatch) -> None:
    """The floor: as many containers as the lab has hosts, of the same image, and no more."""
    image = images.ensure(engine, "host")
    name = LabName(exercise.id, f"{LEARNER}-plain")

    def start(host: str) -> None:
        labels = {**name.labels(), HOST_LABEL: host}
        made = engine.api.create_container(
            image.id, entrypoint=["sleep", "600"], labels=labels, name=f"{name.prefix}-{host}"
        )
        engine.api.start(made["Id"])

    try:
        with watch.time("plain"):
            side_by_side(start, exercise.lab.hosts)
    finally:
        lifecycle.down(engine, name)


def form_swarm(lab: Lab) -> None:
    """The first host becomes the manager, the others join; done when all are Ready."""
    first, *others = lab.hosts
    manager = lab.client(first)
    manager.swarm.init()
    token = manager.swarm.attrs["JoinTokens"]["Worker"]
    side_by_side(lambda each: lab.client(each).swarm.join([f"{first}:2377"], token), others)

    def all_ready() -> bool:
        states = [node.attrs["Status"]["State"] for node in manager.nodes.list()]
        return states == ["ready"] * len(lab.hosts)

    wait_until(all_ready, 30, "all nodes to be Ready")


def _disk(engine: docker.DockerClient, name: LabName) -> list[float]:
    command = "du -sx --block-size=1 /var/lib/docker"  # -x: not what containers have mounted
    shells = [Shell(engine, str(c.id), host) for host, c in containers(engine, name).items()]
    return [int(shell.run(command).stdout.split()[0]) / 1e6 for shell in shells]
