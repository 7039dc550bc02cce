"""Takes in the submission of one learner: it is read whole, and only then put in place."""

import os
import re
import shutil
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Literal

from dockyard.classroom.intake.archives import checked, read, read_all, shown, unzipped
from dockyard.classroom.intake.uploads import Upload, time_of
from dockyard.classroom.submissions import MAX_BYTES, SetAside, walk
from dockyard.course import exercise_ids
from dockyard.plural import counted
from dockyard.settings import course_dir

STAMP = "timestamp.txt"

Status = Literal["collected", "unchanged", "set aside", "left out"]


@dataclass(frozen=True)
class Outcome:
    """What became of an upload.

    Attributes:
        learner: or, left out, the name of a file that is nobody's.
        files: how many there are now.
        reason: why it was not taken; or what an instructor should know.
        is_doubtful: an instructor has to look at it.
    """

    learner: str
    status: Status
    files: int
    reason: str = ""
    is_doubtful: bool = False

    def __str__(self) -> str:
        if self.status == "collected":
            files = counted(self.files, "file")
            return f"{self.learner}: collected, {files}{'; ' * bool(self.reason)}{self.reason}"
        learner = f'"{self.learner}"' if self.status == "left out" else self.learner
        return f"{learner}: {self.status}: {self.reason}"


def take(uploads: list[Upload], target: Path) -> Outcome:
    """Put one learner's submission into *target*, or what is to be known of it."""
    files, was_there = _latest(uploads, target.name), os.path.lexists(target)
    status: Status = "collected"
    notes = ["the latest attempt"] if len(files) < sum(each.is_work for each in uploads) else []
    if uploads[0].who == target.parent.name:
        notes.append("somebody else has the same name")
    try:
        content, more = _content(files, target.name)
        notes += more
    except SetAside as error:
        status, notes = "set aside", [str(error), *notes]
        content = _as_it_is(files, target.name) or {"not-collected.txt": f"{error}\n".encode()}
    if not _place(target, content):
        status = "unchanged" if status == "collected" else status
    elif was_there:
        notes.append("in the place of what was there")
    number = len(content.keys() - {STAMP})
    return Outcome(target.parent.name, status, number, "; ".join(notes), status == "set aside")


def _latest(uploads: list[Upload], exercise: str) -> list[Upload]:
    """The files of the last attempt; what a platform wrote only where there is nothing else."""
    files = [each for each in uploads if each.is_work] or uploads
    last = max(each.when or datetime.min for each in files)
    files = [each for each in files if (each.when or datetime.min) == last]
    known = {path.name for path in (course_dir() / "exercises" / exercise).glob("*")}
    known |= {each.name for each in files}
    newest: dict[str | int, Upload] = {}
    for index, each in enumerate(sorted(files, key=lambda each: each.number)):
        original = re.sub(r"-\d+(?=\.\w+\Z)", "", each.name)  # as Canvas names what comes again
        name = original if each.number and original in known else each.name
        newest[name if each.number else index] = replace(each, name=name)
    return list(newest.values())


def _content(uploads: list[Upload], exercise: str) -> tuple[dict[str, bytes], list[str]]:
    """A submission's files, and what an instructor should know of them.

    Raises:
        SetAside: they cannot be taken.
    """
    files = checked((each.name, each.open) for each in uploads)
    notebook = _notebook(files, exercise)
    zips = [name for name in files if name.lower().endswith(".zip")]
    if not notebook and len(zips) == 1:
        inside = unzipped(zips[0], files.pop(zips[0]))
        notebook = _notebook(inside, exercise)
        files |= inside
    if not notebook:
        raise SetAside("there is no notebook in it")
    root = notebook.removesuffix(PurePosixPath(notebook).name)
    taken = {name.removeprefix(root): files[name] for name in files if name.startswith(root)}
    taken[f"{exercise}.ipynb"] = taken.pop(notebook.removeprefix(root))
    left = len(files) - len(taken)
    notes = [f"left out what is not beside its notebook: {counted(left, 'file')}"] if left else []
    stamp, theirs = _stamp(uploads), taken.pop(STAMP, None)
    if theirs and not stamp:
        notes.append(f"its own {STAMP} does not count")
    content = read_all(taken)
    return ({**content, STAMP: stamp} if stamp else content), notes


def _notebook(files: Iterable[str], exercise: str) -> str:
    """The name of the notebook that counts; "" where there is none."""
    notebooks = [name for name in files if name.lower().endswith(".ipynb")]
    named = [name for name in notebooks if PurePosixPath(name).name == f"{exercise}.ipynb"]
    found = named or notebooks
    if len(found) > 1:
        names = ", ".join(map(shown, found[:3]))
        raise SetAside(
            f"nobody can tell which of its {len(found)} notebooks counts: {names}. If they are "
            "several learners', name the folder in which these learners' folders are"
        )
    if found and not named and PurePosixPath(found[0]).stem in exercise_ids():
        raise SetAside(f"{shown(found[0])} in it is the notebook of another exercise")
    return found[0] if found else ""


def _stamp(uploads: list[Upload]) -> bytes:
    """When it was handed in, as far as anybody but the learner says so."""
    if when := uploads[0].when:
        return when.isoformat(" ").encode()
    for each in uploads:
        if each.name == STAMP and each.exercise:
            stamp = read(each.name, each.open, MAX_BYTES)[:99]
            return stamp if time_of(stamp.decode(errors="replace").strip()) else b""
    return b""


def _as_it_is(uploads: list[Upload], exercise: str) -> dict[str, bytes]:
    """What was handed in, for a person to look at; nothing where it cannot be kept.

    With a notebook of the right name, it would be graded as if all were well.
    """
    with suppress(SetAside):
        files = checked((each.name, each.open) for each in uploads if each.name != STAMP)
        return {} if f"{exercise}.ipynb" in files else read_all(files)
    return {}


def _place(target: Path, content: dict[str, bytes]) -> bool:
    """Make *target* have these files and no others: all or nothing, also when killed.

    Returns:
        Whether it had others.
    """
    making, before = (target.with_name(f".{target.name}.{each}") for each in ("new", "old"))
    _settle(target, making, before)
    if _has(target, content):
        return False
    try:
        for name, data in content.items():
            (making / name).parent.mkdir(parents=True, exist_ok=True)
            (making / name).write_bytes(data)
        if os.path.lexists(target):
            target.rename(before)
        making.rename(target)
    finally:
        _settle(target, making, before)
    return True


def _has(folder: Path, content: dict[str, bytes]) -> bool:
    if folder.is_symlink() or {path.as_posix() for path in walk(folder)} != content.keys():
        return False
    paths = {folder / name: data for name, data in content.items()}
    plain = all(path.is_file() and not path.is_symlink() for path in paths)
    return plain and all(path.read_bytes() == data for path, data in paths.items())


def _settle(target: Path, making: Path, before: Path) -> None:
    """Remove what is in the making; put back what was there if nothing has taken its place."""
    if os.path.lexists(before) and not os.path.lexists(target):
        before.rename(target)
    for path in (making, before):
        if path.is_symlink() or path.is_file():
            path.unlink()
        else:
            shutil.rmtree(path, ignore_errors=True)
