"""Where the time of `up` goes, read afterwards, so that looking costs nothing.

From the outer engine's events and the hosts' own logs; both are stamped by the engine's clock,
which is ours wherever the engine runs on this machine.
"""

from datetime import datetime

import docker

from dockyard.lab import LEARNER_LABEL, LabName, containers

#: What ends a stage, in the order in which it happens: the stage that it ends.
EVENTS = {
    "create": "images looked up, network and containers created",
    "start": "containers started by the outer engine",
}
LOG_LINES = {
    "Starting up": "cgroups, images adopted, containerd",
    "Loading containers: start": "dockerd until its network",
    "Loading containers: done": "dockerd's network (bridge, firewall)",
    "API listen on [::]": "dockerd until it listens",
}
REST = "answer seen, images found"


def of_up(
    engine: docker.DockerClient, name: LabName, since: float, until: float
) -> dict[str, float]:
    """How long each stage took, counted until the last host had it behind it."""
    moments = _events(engine, name, since, until) + _log_lines(engine, name)
    took = {}
    behind = since
    for stage in [*EVENTS.values(), *LOG_LINES.values()]:
        end = max([moment for each, moment in moments if each == stage], default=behind)
        took[stage], behind = max(end - behind, 0.0), max(end, behind)
    return {**took, REST: until - behind}


def _events(
    engine: docker.DockerClient, name: LabName, since: float, until: float
) -> list[tuple[str, float]]:
    filters = {"type": "container", "label": f"{LEARNER_LABEL}={name.learner}"}
    happened = engine.events(
        since=int(since), until=int(until) + 1, decode=True, filters=filters
    )  # ends by itself, for `until` has passed or will within a second
    stamped = [(event["Action"], event["timeNano"] / 1e9) for event in happened]
    return [(EVENTS[what], when) for what, when in stamped if what in EVENTS and when > since]


def _log_lines(engine: docker.DockerClient, name: LabName) -> list[tuple[str, float]]:
    lines = [
        line
        for container in containers(engine, name).values()
        for line in container.logs(timestamps=True).decode(errors="replace").splitlines()
    ]
    return [
        (stage, datetime.fromisoformat(line.split()[0]).timestamp())
        for line in lines
        for words, stage in LOG_LINES.items()
        if words in line
    ]
