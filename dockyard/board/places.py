"""Where boards and those that tell them meet: one folder, for this machine's owner only."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dockyard import files
from dockyard.settings import state_dir

#: Seconds for which a check waits for a board that is there and does not listen.
PATIENCE = 0.02
#: The key that a board shows to the room.
KEY = "room.pem"


def folder() -> Path:
    return state_dir() / "board"


def keep(name: str, content: bytes) -> None:
    """Write a file of the folder, whole or not at all."""
    folder().mkdir(mode=0o700, parents=True, exist_ok=True)
    files.write(folder() / name, content, mode=0o600)


def kept(name: str) -> bytes:
    """What the file holds; nothing where there is none."""
    try:
        return (folder() / name).read_bytes()
    except OSError:
        return b""


def listening() -> socket.socket:
    """The socket of this machine's board; what an earlier one has left goes."""
    (folder() / "socket").unlink(missing_ok=True)
    made = socket.socket(socket.AF_UNIX)
    with _path() as path:
        made.bind(path)
    (folder() / "socket").chmod(0o600)
    made.listen(1024)
    return made


def connection() -> socket.socket:
    """A connection to this machine's board.

    Raises:
        OSError: none runs.
    """
    made = socket.socket(socket.AF_UNIX)
    made.settimeout(PATIENCE)
    try:
        with _path() as path:
            made.connect(path)
    except BaseException:
        made.close()
        raise
    return made


@contextmanager
def _path() -> Iterator[str]:
    """A path for the socket: it may have 107 bytes at most (unix(7)), and folders are deep."""
    there = os.open(folder(), os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{there}/socket"
    finally:
        os.close(there)
