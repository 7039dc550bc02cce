"""In a place: the hub's desk keeps the labs (dockyard.keeper.Keeper tells what each call does)."""

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from typing import TypeVar

import msgspec
import requests

from dockyard import errors, settings
from dockyard.course import Exercise
from dockyard.errors import DockyardError, LabError
from dockyard.faults import HostState
from dockyard.hub import forwarding
from dockyard.hub.protocol import Ask, Line, ToldLab
from dockyard.keeper import Happened
from dockyard.lab import Lab, LabName
from dockyard.lifecycle import Removed
from dockyard.report import Report, Tell, nobody
from dockyard.settings import Say, quiet

T = TypeVar("T")
#: Seconds to connect, and between two lines of an answer: a desk says something every 20.
CONNECT, SILENCE = 10, 90


class Desk:
    """The desk at *url*; it knows a learner by the token of the place."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._session = requests.Session()
        self._session.trust_env = False  # no proxy stands between a place and its hub
        self._session.headers["Authorization"] = f"token {os.environ['JUPYTERHUB_API_TOKEN']}"

    def up(self, exercise: Exercise, learner: str, say: Say = quiet) -> Lab:
        return self._reach(exercise, self._value("up", exercise, ToldLab, learner, say))

    def find(self, exercise: Exercise, learner: str) -> Lab:
        return self._reach(exercise, self._value("find", exercise, ToldLab, learner))

    def down(self, name: LabName) -> Removed:
        return self._ask("down", Ask(name.exercise), Removed, name.learner)

    def reset(self, exercise: Exercise, learner: str, say: Say = quiet) -> tuple[Lab, Removed]:
        told, went = self._value("reset", exercise, tuple[ToldLab, Removed], learner, say)
        return self._reach(exercise, told), went

    def labs(self, learner: str) -> dict[LabName, int]:
        found = self._ask("labs", Ask(), dict[str, int], learner)
        return {LabName(exercise, learner): memory for exercise, memory in found.items()}

    def check(
        self,
        exercise: Exercise,
        learner: str,
        task: str | None = None,
        gently: bool = False,
        tell: Tell = nobody,
    ) -> Report:
        if task is not None:
            exercise.task(task)
        asked = Ask(exercise.id, task=task, gently=gently)
        return self._ask("check", asked, Report, learner, tell=tell)

    def warm_up(self) -> None:
        """It is warm."""

    def events(self, of: Lab) -> Iterator[Happened]:
        for line in self._lines("events", Ask(of.exercise.id), of.name.learner):
            if line.event is not None:
                yield line.event

    def look(self, of: Lab, host: str) -> HostState:
        return self._ask("look", Ask(of.exercise.id, host=host), HostState, of.name.learner)

    def cause(self, of: Lab, fault: str, host: str) -> None:
        self._ask("cause", Ask(of.exercise.id, host=host, fault=fault), None, of.name.learner)

    def is_heard(self) -> bool:
        with suppress(DockyardError):
            return self._ask("heard", Ask(), bool, settings.default_learner())
        return False

    def ask_for_help(self, name: LabName, wanted: bool) -> None:
        self._ask("help", Ask(name.exercise, wanted=wanted), None, name.learner)

    def shell_variables(self) -> dict[str, str]:
        return {}  # a place's own environment tells already

    def _value(
        self, verb: str, exercise: Exercise, kind: type[T], learner: str, say: Say = quiet
    ) -> T:
        return self._ask(verb, Ask(exercise.id), kind, learner, say)

    def _ask(
        self,
        verb: str,
        ask: Ask,
        kind: type[T] | None,
        learner: str,
        say: Say = quiet,
        tell: Tell = nobody,
    ) -> T:
        for line in self._lines(verb, ask, learner):
            if line.say:
                say(line.say)
            if line.step:
                tell(line.step)
            if bytes(line.value):
                return msgspec.json.decode(line.value, type=kind)
        raise LabError("The hub's desk ended before it had an answer. Try again.")

    def _lines(self, verb: str, ask: Ask, learner: str) -> Iterator[Line]:
        if learner != settings.default_learner():
            raise LabError(f'The hub keeps the labs of "{learner}" for nobody else.')
        try:
            with self._session.post(
                f"{self._url}/{verb}",
                data=msgspec.json.encode(ask),
                stream=True,
                timeout=(CONNECT, SILENCE),
            ) as answer:
                for text in filter(None, answer.iter_lines(chunk_size=None)):
                    line = msgspec.json.decode(text, type=Line)
                    if line.error:
                        raise _error(line)
                    yield line
        except (requests.RequestException, msgspec.MsgspecError):
            raise LabError(
                "The hub's desk gives no answer. Try again; if it stays so, tell your host."
            ) from None

    def _reach(self, exercise: Exercise, told: ToldLab) -> Lab:
        """The lab, with its keys and ports in this place."""
        name = LabName(exercise.id, settings.default_learner())
        name.keys.mkdir(mode=0o700, parents=True, exist_ok=True)
        for file, content in told.keys.items():
            (name.keys / file).write_text(content)
            (name.keys / file).chmod(0o600)
        try:
            forwarding.ensure(told)
        except (OSError, TimeoutError) as error:
            raise LabError(f"Your lab cannot be reached from here: {error}.") from None
        return Lab(None, exercise, name, json.dumps(told.ports), told.mesh)


def _error(line: Line) -> DockyardError:
    kind = getattr(errors, line.kind, DockyardError)
    return kind(line.error) if issubclass(kind, DockyardError) else DockyardError(line.error)
