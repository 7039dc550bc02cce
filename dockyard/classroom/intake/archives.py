"""Reads what was handed in, from a folder or a zip: within limits, past no link.

Learners choose names and contents of what they hand in, and what a zip says of itself.
"""

import errno
import io
import os
import re
import stat
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import IO

from dockyard.classroom.submissions import IGNORED, MAX_BYTES, MAX_FILES, SetAside, walk

JUNK = IGNORED | {"__MACOSX", ".DS_Store", "Thumbs.db", "desktop.ini"}
TOO_MUCH = f"it has over {MAX_FILES} files, or {MAX_BYTES / 1e6:g} MB"


#: Opens a file; raises SetAside where it is no plain one.
Open = Callable[[], IO[bytes]]


def in_folder(folder: Path, most: int | None = None) -> list[tuple[str, Open]]:
    names = (path.as_posix() for path in islice(walk(folder), most))
    return [(name, partial(open_in, folder, name)) for name in names if not _is_junk(name)]


def open_in(folder: Path, name: str) -> IO[bytes]:
    """Open a file in a folder, past no link: not even one that was put there just now."""
    at = os.open(folder, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        for part in name.split("/"):
            inside = os.open(part, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=at)
            os.close(at)
            at = inside
        if not stat.S_ISREG(os.fstat(at).st_mode):
            raise OSError(errno.ENODEV, "it is a device, not a file")
    except OSError as error:
        os.close(at)
        why = "is a link" if error.errno == errno.ELOOP else f"cannot be read: {error.strerror}"
        raise SetAside(f"{shown(name)} in it {why}") from None
    return os.fdopen(at, "rb")


def in_zip(zipped: Path | IO[bytes]) -> list[tuple[str, Open]]:
    archive = zipfile.ZipFile(zipped)
    members = [each for each in archive.infolist() if not each.filename.endswith("/")]
    named = [
        (each.filename.removeprefix("./"), partial(_unpack, archive, each)) for each in members
    ]
    return [each for each in named if not _is_junk(each[0])]


def _unpack(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> IO[bytes]:
    name = shown(member.filename)
    if stat.S_IFMT(member.external_attr >> 16) not in (0, stat.S_IFREG):
        raise SetAside(f"{name} in it is a link or a device, not a file")
    if member.flag_bits & 1:
        raise SetAside(f"{name} in it is encrypted")
    # zipfile unpacks what is compressed in other ways as a whole, however little it is asked for.
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise SetAside(f"{name} in it is compressed in an unusual way")
    return archive.open(member)


def unzipped(name: str, opener: Open) -> dict[str, Open]:
    data = read(name, opener, MAX_BYTES)
    if data.count(b"PK\1\2") > 10 * MAX_FILES:  # before zipfile makes an object of each of them
        raise SetAside(TOO_MUCH)
    with _reading(f"{shown(name)} is no zip that can be read"):
        return checked(in_zip(io.BytesIO(data)))


def checked(named: Iterable[tuple[str, Open]]) -> dict[str, Open]:
    """Files by name, if all of them can be written into one folder, and nowhere else."""
    files: dict[str, Open] = {}
    for name, opener in named:
        if not name.isprintable() or len(name.encode()) > 255 or re.search(r"\A[A-Za-z]:|\\", name):
            raise SetAside(f"{shown(name)} in it cannot be the name of a file")
        if name in files:
            raise SetAside(f"{shown(name)} is in it twice")
        files[name] = opener
    if len(files) > MAX_FILES:
        raise SetAside(TOO_MUCH)
    folders = {str(folder) for name in files for folder in PurePosixPath(name).parents}
    for name in files:
        if {"", ".", ".."} & {*name.split("/")} or name in folders:
            raise SetAside(f"{shown(name)} in it cannot be the name of a file")
    return files


def read_all(files: dict[str, Open]) -> dict[str, bytes]:
    content: dict[str, bytes] = {}
    room = MAX_BYTES
    for name, opener in checked(files.items()).items():
        content[name] = read(name, opener, room)
        room -= len(content[name])
    return content


def read(name: str, opener: Open, room: int) -> bytes:
    """A file's content. What a zip says of sizes is not believed: unpacking ends at *room*."""
    with _reading(f"{shown(name)} in it cannot be read"), opener() as stream:
        content = stream.read(room + 1)
    if len(content) > room:
        raise SetAside(TOO_MUCH)
    return content


@contextmanager
def _reading(what_failed: str) -> Iterator[None]:
    """Whatever goes wrong concerns one learner; zipfile has another kind for each way to break."""
    try:
        yield
    except SetAside:
        raise
    except Exception as error:
        why = str(error)[:99] or type(error).__name__
        raise SetAside(f"{what_failed}: {why}") from None


def _is_junk(name: str) -> bool:
    return any(part in JUNK or part.startswith("._") for part in name.split("/"))


def shown(name: str) -> str:
    """A name that a learner chose, safe to print."""
    short = name if len(name) <= 60 else f"{name[:59]}…"
    return f'"{short}"' if short.isprintable() else ascii(short)
