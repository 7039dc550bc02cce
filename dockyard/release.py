"""What learners get: the kit, and their own copy of each exercise."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path

import msgspec

from dockyard import files
from dockyard.classroom.submissions import walk
from dockyard.course import Exercise, exercise_ids, load_exercise
from dockyard.errors import UnknownName
from dockyard.settings import course_dir
from dockyard.timeline import HANDED_IN

#: Files of an exercise that are no part of a learner's copy.
PRIVATE = {"exercise.toml", "near_misses.toml", "alternative.sh", HANDED_IN}
#: What learners do not need, or must not have.
KEPT_BACK = {"near_misses.toml", "alternative.sh", "tests", "bench", "nbgrader_config.py"}
#: Folders of a checkout that git would leave out, for where there is no git.
OURS = {".venv", ".dockyard", "work", "kit", "grading", "submitted"}
#: What the kit's files were when they were written: those that are still so are ours.
MANIFEST = ".kit.json"


@dataclass(frozen=True)
class Kit:
    """What became of a kit.

    Attributes:
        written: files that are new, or newer.
        kept: files that somebody has changed, so they were left alone.
    """

    folder: Path
    written: list[str]
    kept: list[str]


def release(folder: Path) -> Kit:
    """Make the learners' kit in *folder*: all that `make lab` needs, without solutions.

    A file that is there and is not as an earlier release has left it is somebody's work: it
    stays. So a kit that is in use can be brought up to date.

    Raises:
        UnknownName: *folder* cannot be a kit.
        CourseError: an exercise's notebook is broken.
    """
    if folder.resolve() == course_dir():
        raise UnknownName(f'"{folder}" is the course itself. Name another folder for the kit.')
    made = _manifest(folder)
    written, kept = [], []
    for name, content in _contents(folder):
        target = folder / name
        now = target.read_bytes() if target.is_file() else None
        if now is not None and now != content and _hash(now) != made.get(name):
            kept.append(name)
            made.pop(name, None)
            continue
        made[name] = _hash(content)
        if now != content:
            files.write(target, content)
            shutil.copymode(course_dir() / name, target)
            written.append(name)
    files.write(folder / MANIFEST, json.dumps(made, indent=1).encode())
    return Kit(folder, written, kept)


def ensure_work_copy(*exercises: str) -> list[Path]:
    """Give each exercise its folder in work/, where learners work; all exercises by default.

    What is there stays as it is; only what is missing is added.

    Returns:
        The files that were added.
    """
    added = []
    for exercise in map(load_exercise, exercises or exercise_ids()):
        folder = course_dir() / "work" / exercise.id
        for name in walk(exercise.folder):
            if name.name not in PRIVATE and not (folder / name).exists():
                source = exercise.folder / name
                is_notebook = source == exercise.notebook
                content = learners_notebook(exercise) if is_notebook else source.read_bytes()
                files.write(folder / name, content)
                added.append(folder / name)
    return added


def renew_work_copy(exercise: Exercise) -> Path | None:
    """Give an exercise a new folder in work/.

    Returns:
        Where the files lie now that were in it; nobody's work is deleted.
    """
    folder = course_dir() / "work" / exercise.id
    aside = folder.with_name(f"{exercise.id}-{datetime.now():%Y-%m-%d-%H%M%S}")
    if folder.is_dir():
        folder.rename(aside)
    ensure_work_copy(exercise.id)
    return aside if aside.is_dir() else None


def learners_notebook(exercise: Exercise) -> bytes:
    """An exercise's notebook without solutions; in a kit, it is that already."""
    content = exercise.notebook.read_bytes()
    if b'"checksum"' in content:  # nbgrader's, of a cell that it has released
        return content
    from dockyard.classroom.gradebook import (
        Course,  # nbgrader takes seconds, and is not always wanted
    )

    return Course().learners_copy(exercise).encode()


def _contents(kit: Path) -> Iterator[tuple[str, bytes]]:
    """The kit's files."""
    notebooks = {each.notebook: each for each in map(load_exercise, exercise_ids())}
    for name in sorted(project_files(kit)):
        path = course_dir() / name
        if not KEPT_BACK & set(Path(name).parts) and path.is_file():
            exercise = notebooks.get(path)
            yield name, learners_notebook(exercise) if exercise else path.read_bytes()


def project_files(made: Path) -> list[str]:
    """What belongs to the project: what git tracks, so nobody's drafts or submissions.

    Args:
        made: what is being made of them, a file or a folder; it is not among them.
    """
    listing = ["git", "ls-files", "-z"]
    try:
        done = subprocess.run(listing, cwd=course_dir(), capture_output=True, check=True, text=True)
    except (OSError, subprocess.CalledProcessError):  # no git, or no checkout
        return [str(path) for path in walk(course_dir()) if _belongs(path, made.resolve())]
    return [name for name in done.stdout.split("\0") if name]


def _belongs(path: Path, made: Path) -> bool:
    hidden = any(part.startswith(".") or part in OURS for part in path.parts[:-1])
    hidden |= path == Path(MANIFEST)  # of a kit from which another is made
    return not hidden and not (course_dir() / path).is_relative_to(made)


def _manifest(folder: Path) -> dict[str, str]:
    try:
        return msgspec.json.decode((folder / MANIFEST).read_bytes(), type=dict[str, str])
    except (OSError, ValueError):  # without it, everything there is somebody's
        return {}


def _hash(content: bytes) -> str:
    return sha256(content).hexdigest()[:16]
