"""One at a time: processes and threads of one installation that would get in each other's way."""

from collections.abc import Iterator
from contextlib import contextmanager
from fcntl import LOCK_EX, flock

from dockyard import settings


@contextmanager
def alone(name: str) -> Iterator[None]:
    """Wait until nobody else does what *name* stands for; a lock ends with its process."""
    folder = settings.state_dir() / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / name).open("w") as lock:
        flock(lock, LOCK_EX)
        yield
