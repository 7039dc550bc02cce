"""What came with a bundle, or goes into one; it lies in the state folder."""

from pathlib import Path

import msgspec

from dockyard import settings
from dockyard.recipes import Recipe

#: In the folder of parts. The Makefile names WHEELS, PACKAGES and SUMS, too.
WHEELS, PACKAGES, IMAGES, LISTING, SUMS = "wheels", "packages", "images.tar", "images.json", "SUMS"

#: Installs what is in PACKAGES.
INSTALL = Path(__file__).parent / "install-packages"


def folder() -> Path:
    return settings.state_dir() / "bundle"


def images() -> dict[str, str]:
    """The images in it: name → the hash of the recipe of which each was made."""
    try:
        return msgspec.json.decode((folder() / LISTING).read_bytes(), type=dict[str, str])
    except (OSError, msgspec.MsgspecError):
        return {}


def has(recipe: Recipe) -> bool:
    """Whether the image is in it as its recipe stands."""
    return images().get(recipe.tag) == recipe.hash


def has_packages(*names: str) -> bool:
    """Whether Debian's packages of these names are in it."""
    files = (folder() / PACKAGES).glob("*.deb")
    return {*names} <= {path.name.partition("_")[0] for path in files}
