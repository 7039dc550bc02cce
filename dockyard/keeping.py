"""Finds the keeper of labs; on an engine, each of its calls is one of the package's functions."""

from collections.abc import Iterator
from typing import Any

import docker
from docker.errors import DockerException
from docker.types import CancellableStream

from dockyard import checker, engine, faults, hosts, lab, lifecycle, report, settings
from dockyard.board import sharing
from dockyard.course import Exercise
from dockyard.keeper import CHANGES, Happened, Keeper
from dockyard.lab import Lab, LabName
from dockyard.report import Report, Tell
from dockyard.settings import Say, quiet


def find(say: Say = quiet) -> Keeper:
    """Who keeps labs here.

    Raises:
        EngineError: no engine answers, and none can be started.
    """
    if desk := settings.desk():
        from dockyard.hub.asking import Desk

        return Desk(desk)
    return Engine(engine.connect(say))


class Engine:
    """Keeps labs on the outer engine (dockyard.keeper.Keeper tells what each call does)."""

    def __init__(self, outer: docker.DockerClient) -> None:
        self.outer = outer

    def up(self, exercise: Exercise, learner: str, say: Say = quiet) -> Lab:
        return lifecycle.up(self.outer, exercise, learner, say)

    def find(self, exercise: Exercise, learner: str) -> Lab:
        return lab.find(self.outer, exercise, learner)

    def down(self, name: LabName) -> lifecycle.Removed:
        return lifecycle.down(self.outer, name)

    def reset(
        self, exercise: Exercise, learner: str, say: Say = quiet
    ) -> tuple[Lab, lifecycle.Removed]:
        return lifecycle.reset(self.outer, exercise, learner, say)

    def labs(self, learner: str) -> dict[LabName, int]:
        return {name: self._memory(name) for name in lab.all_names(self.outer, learner)}

    def _memory(self, name: LabName) -> int:
        total = 0
        for host in lab.containers(self.outer, name).values():
            try:
                total += hosts.memory(host)
            except (DockerException, OSError):  # it has just gone
                continue
        return total

    def check(
        self,
        exercise: Exercise,
        learner: str,
        task: str | None = None,
        gently: bool = False,
        tell: Tell = report.nobody,
    ) -> Report:
        return checker.check(exercise, learner, task, gently, tell)

    def warm_up(self) -> None:
        checker.warm_up()

    def events(self, of: Lab) -> Iterator[Happened]:
        stream = self.stream(of.name)
        yield {}
        yield from stream

    def stream(self, name: LabName) -> "CancellableStream[Any]":
        """What happens to a lab's hosts; another thread may close it."""
        filters = name.filters() | {"event": [*CHANGES, "stop", "kill"]}
        return self.outer.events(decode=True, filters=filters)

    def look(self, of: Lab, host: str) -> faults.HostState:
        return faults.look(self.outer, of, host)

    def cause(self, of: Lab, fault: str, host: str) -> None:
        faults.cause(self.outer, of, fault, host)

    def is_heard(self) -> bool:
        return sharing.is_heard()

    def ask_for_help(self, name: LabName, wanted: bool) -> None:
        sharing.ask_for_help(name, wanted)

    def shell_variables(self) -> dict[str, str]:
        endpoint = engine.find()
        variables = {"DOCKYARD_ENGINE_HOST": endpoint.url}
        if endpoint.cert_path:
            variables["DOCKYARD_ENGINE_CERT_PATH"] = endpoint.cert_path
            variables["DOCKYARD_ENGINE_TLS_VERIFY"] = "1"
        return variables
