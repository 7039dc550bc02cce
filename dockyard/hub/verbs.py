"""What can be asked at the desk, and how it is done: one function for each verb."""

import os
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Lock, Semaphore
from typing import Any

from dockyard import certificates
from dockyard.board import sharing
from dockyard.course import Exercise, load_exercise
from dockyard.errors import LabError
from dockyard.hub import places
from dockyard.hub.protocol import Ask, Line, ToldLab
from dockyard.keeping import Engine
from dockyard.lab import Lab, LabName
from dockyard.report import Step

#: Labs that start, and checks that run, at once on this machine; each learner's come one by one,
#: so that nobody keeps the others waiting for long.
_at_once = Semaphore(2 * (os.cpu_count() or 1))
_own: defaultdict[str, Lock] = defaultdict(Lock)


class Left(Exception):
    """Nobody listens to the answer any more."""


class Call:
    """One learner's question, and whoever listens to its answer.

    Attributes:
        keeper: of all labs of this machine.
        learner: whose question it is.
    """

    def __init__(self, keeper: Engine, learner: str, tell: Callable[[Line], None]) -> None:
        self.keeper, self.learner = keeper, learner
        self._tell = tell
        self._left = False
        self._close: Callable[[], None] | None = None
        self._lock = Lock()

    def tell(self, line: Line) -> None:
        """A part of the answer.

        Raises:
            Left: nobody wants it.
        """
        if self._left:
            raise Left
        self._tell(line)

    def say(self, text: str) -> None:
        self.tell(Line(say=text))

    def step(self, step: Step) -> None:
        self.tell(Line(step=step))

    def until_left(self, close: Callable[[], None]) -> None:
        """Call *close* as soon as nobody listens any more."""
        with self._lock:
            self._close = close
            if self._left:
                close()

    def leave(self) -> None:
        """Nobody listens any more."""
        with self._lock:
            self._left = True
            close, self._close = self._close, None
        if close:
            close()

    @contextmanager
    def turn(self) -> Iterator[None]:
        """The learner's turn to do what costs."""
        with _own[self.learner], _at_once:
            if self._left:
                raise Left
            yield


def _exercise(ask: Ask) -> Exercise:
    return load_exercise(ask.exercise)


def _told(call: Call, lab: Lab) -> ToldLab:
    names = places.let_in(call.keeper.outer, lab)
    keys = {file: (lab.name.keys / file).read_text() for file in certificates.CLIENT_FILES}
    return ToldLab(lab.ports, names, keys, lab.has_routing_mesh)


def _up(call: Call, ask: Ask) -> ToldLab:
    with call.turn():
        return _told(call, call.keeper.up(_exercise(ask), call.learner, call.say))


def _find(call: Call, ask: Ask) -> ToldLab:
    return _told(call, call.keeper.find(_exercise(ask), call.learner))


def _down(call: Call, ask: Ask) -> Any:
    with call.turn():
        return call.keeper.down(LabName(_exercise(ask).id, call.learner))


def _reset(call: Call, ask: Ask) -> Any:
    with call.turn():
        lab, went = call.keeper.reset(_exercise(ask), call.learner, call.say)
        return _told(call, lab), went


def _labs(call: Call, _: Ask) -> dict[str, int]:
    return {name.exercise: memory for name, memory in call.keeper.labs(call.learner).items()}


def _check(call: Call, ask: Ask) -> Any:
    with call.turn():
        found = call.keeper.check(_exercise(ask), call.learner, ask.task, ask.gently, call.step)
    sharing.tell(found)
    return found


def _look(call: Call, ask: Ask) -> Any:
    return call.keeper.look(call.keeper.find(_exercise(ask), call.learner), ask.host)


def _cause(call: Call, ask: Ask) -> None:
    call.keeper.cause(call.keeper.find(_exercise(ask), call.learner), ask.fault, ask.host)


def _heard(call: Call, _: Ask) -> bool:
    return call.keeper.is_heard()


def _help(call: Call, ask: Ask) -> None:
    call.keeper.ask_for_help(LabName(_exercise(ask).id, call.learner), ask.wanted)


def _events(call: Call, ask: Ask) -> None:
    stream = call.keeper.stream(LabName(_exercise(ask).id, call.learner))
    call.until_left(stream.close)
    call.tell(Line(event={}))
    with suppress(OSError, ValueError, AttributeError):  # closed while it was read
        for event in stream:
            call.tell(Line(event=event))
    raise LabError("Nobody tells any more what happens in this lab.")


VERBS: dict[str, Callable[[Call, Ask], Any]] = {
    "up": _up,
    "find": _find,
    "down": _down,
    "reset": _reset,
    "labs": _labs,
    "check": _check,
    "look": _look,
    "cause": _cause,
    "events": _events,
    "heard": _heard,
    "help": _help,
}
