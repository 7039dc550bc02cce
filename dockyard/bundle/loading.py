"""Takes the parts of a bundle in, each only when it is what the bundle's sums say."""

import hashlib
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO

from dockyard import settings
from dockyard.bundle import parts
from dockyard.bundle.saving import CHUNK, PARTS, TOP
from dockyard.errors import BundleError
from dockyard.liveline import LiveLine


def load(file: Path) -> list[str]:
    """Put wheels, packages and images where `make lab` finds them.

    What is there already, whole, is kept: a load that was interrupted goes on where it was. The
    course's own files are left alone.

    Returns:
        The course's files that are not as they are in the bundle.

    Raises:
        BundleError: it is no bundle, or damaged; what is damaged is not kept.
        OSError: such as a full disk.
    """
    with _opened(file) as tar:
        return _load(tar, file)


def look_into(file: Path) -> None:
    """Check that it is a bundle, from its beginning.

    Raises:
        BundleError: it is none.
    """
    with _opened(file) as tar:
        _sums(_members(tar), file)


@contextmanager
def _opened(file: Path) -> Iterator[tarfile.TarFile]:
    """The tar; what is wrong with it is said in a line."""
    try:
        with tarfile.open(file, "r:") as tar:
            yield tar
    except (tarfile.TarError, EOFError, UnicodeError) as error:
        raise _broken(file, str(error)) from None


def _sums(members: Iterator[tuple[str, IO[bytes]]], file: Path) -> bytes:
    """Its first member."""
    for name, content in members:
        if name == f"{PARTS}/{parts.SUMS}":
            return content.read()
        break
    raise BundleError(f'"{file}" is no bundle of Dockyard.')


def _load(tar: tarfile.TarFile, file: Path) -> list[str]:
    members = _members(tar)
    listing = _sums(members, file)
    pairs = (line.split("  ", 1) for line in listing.decode().splitlines())
    sums = {name: digest for digest, name in pairs}
    others = []
    line, total = LiveLine(), len(sums)
    for number, (name, content) in enumerate(members):
        line.show(f" • {number} of {total} files")
        if name not in sums:
            raise _broken(file, f"{name} is not in its list")
        wanted = sums.pop(name)
        if not name.startswith(f"{PARTS}/"):
            if _sum_of(settings.course_dir() / name) != wanted:
                others.append(name)
        elif _sum_of(target := parts.folder() / PurePosixPath(name).relative_to(PARTS)) != wanted:
            _take(content, target, wanted, file)
    line.wipe()
    if sums:
        raise _broken(file, f"{next(iter(sums))} is missing")
    (parts.folder() / parts.SUMS).write_bytes(listing)
    return others


def _members(tar: tarfile.TarFile) -> Iterator[tuple[str, IO[bytes]]]:
    """What is in it, by name below its top folder; nothing that leads out of that."""
    for info in tar:
        path = PurePosixPath(info.name)
        content = tar.extractfile(info) if info.isfile() else None
        if content is None or path.parts[0] != TOP or ".." in path.parts:
            raise tarfile.TarError(f"{info.name!a} has no place in it")
        yield str(path.relative_to(TOP)), content


def _take(content: IO[bytes], target: Path, wanted: str, file: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.part")
    digest = hashlib.sha256()
    try:
        with part.open("wb") as out:
            while chunk := content.read(CHUNK):
                digest.update(chunk)
                out.write(chunk)
        if digest.hexdigest() != wanted:
            raise _broken(file, f"{target.name} is not as it was")
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def _sum_of(path: Path) -> str:
    try:
        with path.open("rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest()
    except OSError:
        return ""


def _broken(file: Path, why: str) -> BundleError:
    return BundleError(f'"{file}" is damaged ({why}): copy it again, then load it again.')
