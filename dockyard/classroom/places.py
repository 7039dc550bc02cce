"""Places to work in, made ready ahead of the submissions that take them.

A place is a fresh sealed lab with a sandbox beside it, in which a kernel waits. Making one takes
longer than many a submission; so while submissions run, the next places are made.
"""

import atexit
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event, Lock
from uuid import uuid4

import docker
import psutil
from docker.errors import DockerException
from docker.utils import parse_bytes

from dockyard import checker, gate, images, lifecycle
from dockyard import engine as engines
from dockyard.classroom import sandbox, tampering
from dockyard.classroom.sandbox import Sandbox
from dockyard.classroom.tampering import Seen
from dockyard.course import Exercise
from dockyard.errors import LabError, reason
from dockyard.lab import Lab, LabName, all_names, side_by_side
from dockyard.settings import Say, quiet
from dockyard.waiting import wait_until

#: How many places are made ahead, at most.
AHEAD = 2
#: Bytes that a lab host, or a sandbox, usually takes: a quarter more than what was measured.
USUAL = 250_000_000
#: Seconds to wait for other programs, or other places, to give memory back.
PATIENCE = 600


@dataclass(frozen=True)
class Place:
    """A lab on which nobody has worked.

    Attributes:
        engine: the outer one, which made it.
        before: what that saw of the lab's hosts then.
    """

    engine: docker.DockerClient
    lab: Lab
    sandbox: Sandbox
    before: dict[str, Seen]


class Places:
    """The places of one exercise, for one grading folder; there may be any number at a time."""

    def __init__(self, exercise: Exercise, owner: str) -> None:
        self._exercise = exercise
        self._owner = owner
        self._coming: deque[Future[Place]] = deque()
        self._makers = ThreadPoolExecutor(AHEAD)
        self._stopped = Event()
        self._turn = Lock()

    @contextmanager
    def take(self, waiting: int) -> Iterator[Place]:
        """A place for one submission; it is removed afterwards, whatever happens.

        Args:
            waiting: how many submissions will want one after this: no more are made ahead.

        Raises:
            LabError, EngineError: it cannot be made.
        """
        with self._turn:
            if self._stopped.is_set():
                raise LabError("Grading was ended.")
            while len(self._coming) < 1 + min(waiting, AHEAD):
                self._coming.append(self._makers.submit(self._make))
            mine = self._coming.popleft()
        place = mine.result()
        try:
            yield place
        finally:
            lifecycle.down(place.engine, place.lab.name)

    def stop(self) -> None:
        """Make no more; those that are ready are removed with all that is their owner's."""
        self._stopped.set()
        self._makers.shutdown(cancel_futures=True)

    def _make(self) -> Place:
        wait_until(lambda: most(self._exercise) or self._stopped.is_set(), PATIENCE, "free memory")
        engine, name = engines.connect(), f"{self._owner}{uuid4().hex[:6]}"
        try:
            lab = lifecycle.up(engine, self._exercise, name, sealed=True)
            before = tampering.look(engine, lab)
            return Place(engine, lab, Sandbox(engine, lab), before)
        except BaseException:
            lifecycle.down(engine, LabName(self._exercise.id, name))
            raise


_places: dict[tuple[str, str], Places] = {}
_turn = Lock()


def of(exercise: Exercise, owner: str) -> Places:
    """The places of an exercise in this process."""
    with _turn:
        key = exercise.id, owner
        if key not in _places:
            atexit.register(checker.stop)
            _places[key] = Places(exercise, owner)
        return _places[key]


def prepare(engine: docker.DockerClient, exercise: Exercise, say: Say = quiet) -> None:
    """Do once, and with progress, what each place would otherwise do silently.

    Raises:
        ImageError, LabError: no place can be made.
    """
    images.ensure_all(engine, [gate.IMAGE, sandbox.IMAGE], say)
    lifecycle.prepare(engine, exercise, say)


def remove_all(owner: str, say: Say = quiet) -> None:
    """Remove every lab of an owner, also those of a run that was killed, and end their checks."""
    with _turn:
        mine = [_places.pop(key) for key in list(_places) if key[1] == owner]
    for each in mine:
        each.stop()
    checker.stop()
    engine = engines.connect()

    def remove(name: LabName) -> str:
        try:
            return f"Removed {lifecycle.down(engine, name)}, left by a run that was ended"
        except DockerException as error:  # Engine 20.10 now and then keeps a network for ever
            return f'Not removed, "{name.label}": {reason(error)}'

    names = [name for name in all_names(engine) if name.learner.startswith(owner)]
    for line in side_by_side(remove, names):
        say(line)


def most(exercise: Exercise) -> int:
    """How many places more this machine's free memory carries.

    All take what they usually do, and one of them may take all that its limits allow.
    """
    free = psutil.virtual_memory().available - _limit(exercise)
    return max(0, free // (len(exercise.lab.hosts) + 1) // USUAL + 1) if free > 0 else 0


def _limit(exercise: Exercise) -> int:
    """Bytes that a place can take, with what its hosts store."""
    host = parse_bytes(exercise.lab.limits.memory) + parse_bytes(lifecycle.SEALED_DISK)
    rest = parse_bytes(sandbox.MEMORY) + parse_bytes(gate.MEMORY)
    return int(len(exercise.lab.hosts) * host + rest)
