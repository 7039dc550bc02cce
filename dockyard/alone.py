"""One at a time: processes and threads that would get in each other's way."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path
from typing import IO

from dockyard import settings


@contextmanager
def alone(name: str) -> Iterator[None]:
    """Wait until nobody else of this installation does what *name* stands for."""
    folder = settings.state_dir() / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder / name):
        yield


@contextmanager
def locked(path: Path, refuse: Callable[[], Exception] | None = None) -> Iterator[IO[str]]:
    """Hold the lock on a file, which ends with its process at the latest.

    Args:
        refuse: what to raise where somebody else has it; without it, wait for them.
    """
    with path.open("a+") as lock:
        try:
            flock(lock, LOCK_EX | LOCK_NB if refuse else LOCK_EX)
        except BlockingIOError:
            assert refuse is not None
            raise refuse() from None
        yield lock
