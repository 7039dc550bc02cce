"""Recipes: the folders of images/, each with a Dockerfile."""

import hashlib
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from dockyard import settings
from dockyard.errors import UnknownName


@dataclass(frozen=True)
class Recipe:
    """One folder of images/."""

    name: str
    folder: Path

    @property
    def tag(self) -> str:
        """The name under which learners and graders meet the image."""
        return f"dockyard/{self.name}:1"

    @property
    def parents(self) -> list["Recipe"]:
        text = (self.folder / "Dockerfile").read_text()
        return [recipe(name) for name in re.findall(r"^FROM dockyard/(\w+):", text, re.M)]

    @property
    def programs(self) -> list[Path]:
        """What it takes from this course's Python environment: the names in `from-environment`."""
        listed = self.folder / "from-environment"
        names = listed.read_text().split() if listed.is_file() else []
        return [Path(sys.executable).parent / name for name in names]

    @property
    def lock(self) -> Path | None:
        """The Python packages that its build finds in wheels/, if it has a list of them."""
        listed = self.folder / "requirements.lock"
        return listed if listed.is_file() else None

    @property
    def hash(self) -> str:
        """Changes with every file of the recipe and of its parents' recipes."""
        digest = hashlib.sha256()
        for path in sorted(path for path in self.folder.rglob("*") if path.is_file()):
            mode = path.stat().st_mode & 0o111
            digest.update(f"{path.relative_to(self.folder)} {mode}\n".encode() + path.read_bytes())
        for program in self.programs:  # large ones: their size will do
            digest.update(f"{program.name} {program.stat().st_size}\n".encode())
        for parent in self.parents:
            digest.update(parent.hash.encode())
        return digest.hexdigest()[:16]


def recipe(name: str) -> Recipe:
    """The recipe of the image *name*.

    Raises:
        UnknownName: there is none.
    """
    folder = settings.course_dir() / "images" / name
    if not re.fullmatch(r"\w+", name) or not (folder / "Dockerfile").is_file():
        known = ", ".join(sorted(path.parent.name for path in folder.parent.glob("*/Dockerfile")))
        raise UnknownName(f'There is no image "{name}". Images: {known}.')
    return Recipe(name, folder)


def all_recipes() -> list[Recipe]:
    """Every recipe, parents before children."""
    names = sorted(path.parent.name for path in settings.course_dir().glob("images/*/Dockerfile"))
    return sorted(map(recipe, names), key=lambda each: (_depth(each), each.name))


def _depth(of: Recipe) -> int:
    return max((1 + _depth(parent) for parent in of.parents), default=0)
