"""Makes a bundle: the course as it stands here, and what `make lab` would fetch for it.

A bundle is a plain tar. Unpacked anywhere, it is a course whose `make lab` asks no network:

    dockyard/                      the course: what git tracks, or a learners' kit
    dockyard/.dockyard/bundle/     Python's wheels, Debian's packages, images
    dockyard/.dockyard/bundle/SUMS sha256 of everything, first in the file

What was gathered stays in the state folder, so a save that was interrupted goes on where it was.
"""

import hashlib
import os
import shutil
import tarfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import docker
import msgspec

from dockyard import apt, embedded, seed, settings, wheels
from dockyard.bundle import parts
from dockyard.errors import BundleError
from dockyard.liveline import LiveLine
from dockyard.recipes import all_recipes
from dockyard.release import project_files
from dockyard.settings import Say

#: The folder in which everything in a bundle lies, and where the parts are in that.
TOP, PARTS = "dockyard", ".dockyard/bundle"
CHUNK = 2**20
#: What a bare Debian needs besides the engine.
TOOLS = ["make", "git", "python3-venv"]


def save(engine: docker.DockerClient, file: Path, say: Say) -> int:
    """Write a bundle; the engine has all images.

    Returns:
        Its bytes.

    Raises:
        BundleError: something cannot be had.
        OSError: such as a full disk; what was gathered stays, the file does not.
    """
    course = [name for name in project_files(file) if (settings.course_dir() / name).is_file()]
    parts.folder().mkdir(parents=True, exist_ok=True)
    _gather_wheels(say)
    _gather_packages(say)
    _gather_images(engine, say)
    files = {f"{TOP}/{name}": settings.course_dir() / name for name in course}
    files |= {f"{TOP}/{PARTS}/{path.relative_to(parts.folder())}": path for path in _gathered()}
    part = file.with_name(f".{file.name}.part")
    try:
        _write(part, files)
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)
    return file.stat().st_size


def _gather_wheels(say: Say) -> None:
    """Python's packages, as the lock has them, for this Python on this kind of machine."""
    lock = settings.course_dir() / "requirements.lock"
    if wheels.fetch(lock, parts.folder() / parts.WHEELS, say):
        raise BundleError("Python's packages cannot be fetched: saving a bundle takes a network.")


def _gather_packages(say: Say) -> None:
    """Debian's packages for a machine that has no engine yet, where this one is a Debian."""
    target = parts.folder() / parts.PACKAGES
    wanted = [*embedded.PACKAGES, *TOOLS]
    if parts.has_packages(*wanted) or not shutil.which("apt-get") or os.geteuid():
        return
    say("Gathering Debian's packages")
    if why := apt.download(target, *wanted):
        say(f"Without them: {why}. Machines need an engine of their own, then.")
        shutil.rmtree(target, ignore_errors=True)


def _gather_images(engine: docker.DockerClient, say: Say) -> None:
    recipes = all_recipes()
    listing = {each.tag: each.hash for each in recipes}
    target = parts.folder() / parts.IMAGES
    if target.is_file() and parts.images() == listing:
        return
    say("Gathering images")
    (parts.folder() / parts.LISTING).unlink(missing_ok=True)
    with target.open("wb") as file:
        for chunk in seed.export(engine, [engine.images.get(each.tag) for each in recipes]):
            file.write(chunk)
    (parts.folder() / parts.LISTING).write_bytes(msgspec.json.encode(listing))


def _gathered() -> Iterator[Path]:
    files = [path for path in sorted(parts.folder().rglob("*")) if path.is_file()]
    yield from (path for path in files if path.name != parts.SUMS)


def _write(target: Path, files: dict[str, Path]) -> None:
    line, total = LiveLine(), sum(path.stat().st_size for path in files.values())
    sums = []
    for name, path in files.items():
        line.show(f" • Summing {path.name}")
        with path.open("rb") as content:
            digest = hashlib.file_digest(content, "sha256").hexdigest()
        sums.append(f"{digest}  {name.removeprefix(f'{TOP}/')}\n")
    with tarfile.open(target, "w") as tar:
        info = tarfile.TarInfo(f"{TOP}/{PARTS}/{parts.SUMS}")
        listing = "".join(sums).encode()
        info.size = len(listing)
        tar.addfile(info, BytesIO(listing))
        done = 0
        for name, path in files.items():
            line.show(f" • {done / total:.0%} of {total / 1e6:.0f} MB")
            info = tar.gettarinfo(path, name)
            info.uid = info.gid = 0
            info.uname = info.gname = "root"
            with path.open("rb") as content:
                tar.addfile(info, content)
            done += info.size
    line.wipe()
