"""Submissions, as nbgrader lays them out: `<learner>/<exercise>/<exercise>.ipynb` and files."""

import hashlib
import os
import shutil
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from dockyard.course import Exercise
from dockyard.errors import DockyardError, UnknownName

#: Folders that hold no work.
IGNORED = {".ipynb_checkpoints", "__pycache__", ".git"}
MAX_FILES = 1000
MAX_BYTES = 50_000_000


class SetAside(DockyardError):
    """A submission cannot be graded as it is, and trying again would not help."""

    exit_code = 1


class _Cell(msgspec.Struct):
    cell_type: str
    source: str | list[str] = ""
    metadata: dict[str, Any] = {}


class _Notebook(msgspec.Struct):
    cells: list[_Cell]


@dataclass(frozen=True)
class Submission:
    """What one learner handed in for one exercise.

    Attributes:
        folder: with the notebook, and the files beside it.
    """

    learner: str
    exercise: str
    folder: Path

    @property
    def notebook(self) -> Path:
        return self.folder / f"{self.exercise}.ipynb"

    def files(self) -> list[Path]:
        """Its files, relative to its folder.

        Raises:
            SetAside: what is there cannot be graded.
        """
        if not is_usable(self.folder.parent.name):
            raise SetAside("this cannot be a learner's name: rename the folder")
        if self.folder.is_symlink():
            raise SetAside("its folder is a link")
        found = list(walk(self.folder))
        sizes = [_size_of(self.folder / path) for path in found]
        if len(found) > MAX_FILES or sum(sizes) > MAX_BYTES:
            raise SetAside(f"it has over {MAX_FILES} files, or {MAX_BYTES / 1e6:g} MB")
        if not self.notebook.is_file():
            raise SetAside(f'there is no "{self.notebook.name}" in it')
        return found

    def cells(self) -> list[dict[str, Any]]:
        """The cells of its notebook; whatever else is in that file is not even looked at.

        Raises:
            SetAside: it is no notebook.
        """
        try:
            cells = msgspec.json.decode(self.notebook.read_bytes(), type=_Notebook).cells
        except (msgspec.MsgspecError, RecursionError, UnicodeError) as error:
            raise SetAside(f'"{self.notebook.name}" is not a notebook: {error}') from None
        return [{**msgspec.structs.asdict(cell), "source": "".join(cell.source)} for cell in cells]

    def hash(self) -> str:
        """Changes with every file of it."""
        return hash_of(self.folder, self.files())

    def copy_to(self, target: Path) -> "Submission":
        """A copy in *target*, in the place of what was there."""
        if target.resolve() != self.folder.resolve():
            files = self.files()
            shutil.rmtree(target, ignore_errors=True)
            for file in files:
                (target / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(self.folder / file, target / file, follow_symlinks=False)
        return Submission(self.learner, self.exercise, target)


def find(folder: Path, exercise: Exercise) -> list[Submission]:
    """The submissions in *folder*, by learner.

    Raises:
        UnknownName: there are none.
    """
    names = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    found = [
        Submission(
            name if is_usable(name) else ascii(name), exercise.id, folder / name / exercise.id
        )
        for name in names
        if not name.startswith(".") and (folder / name / exercise.id).is_dir()
    ]
    if not found:
        layout = f"<learner>/{exercise.id}/{exercise.id}.ipynb"
        raise UnknownName(f'There are no submissions in "{folder}"; they belong in "{layout}".')
    return found


def is_usable(name: str) -> bool:
    """Whether a folder's name can stand for a learner on terminals and in the gradebook."""
    return name.isprintable() and name == name.strip()


def walk(folder: Path) -> Iterator[Path]:
    """Everything in *folder* that is not a folder, relative to it; links are not followed."""
    for base, folders, files in os.walk(folder):
        folders[:] = sorted(set(folders) - IGNORED)
        links = [name for name in folders if (Path(base) / name).is_symlink()]
        for name in sorted([*files, *links]):
            yield (Path(base) / name).relative_to(folder)


def hash_of(folder: Path, files: Iterable[Path]) -> str:
    """Changes with the names and contents of *files* in *folder*."""
    digest = hashlib.sha256()
    for file in files:
        content = (folder / file).read_bytes()
        digest.update(os.fsencode(f"{file}\0{len(content)}\0") + content)
    return digest.hexdigest()[:16]


def _size_of(path: Path) -> int:
    """The size of a plain file; a link or a device could lead to the instructor's own files."""
    state = path.lstat()
    if not stat.S_ISREG(state.st_mode):
        raise SetAside(f"{path.name!a} in it is a link or a device, not a file")
    return state.st_size
