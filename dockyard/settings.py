"""Where things are, and what a person may set: environment variables, nothing else.

| variable                | meaning                                                       |
|-------------------------|---------------------------------------------------------------|
| DOCKYARD_COURSE         | folder with notebooks/, exercises/ and graders/               |
| DOCKYARD_STATE          | folder for keys, engine data and other things of this machine |
| DOCKYARD_ENGINE_HOST    | the outer engine's address, or "embedded"                     |
| DOCKYARD_IMAGE_<NAME>   | an image to use in place of ours, e.g. DOCKYARD_IMAGE_VOTE    |
| DOCKYARD_IMAGES_BY      | how images get into hosts: "seed" (default) or "load"         |
| DOCKYARD_HOST_RUNTIME   | a hardened runtime for lab hosts, e.g. "sysbox-runc"          |
| DOCKYARD_LABS_EACH      | how many labs one learner may have at once; no limit if unset |
| DOCKYARD_PATIENCE       | how many times longer to wait for everything; 1 by default    |
| DOCKYARD_DESK           | set in a hub's places: where the desk answers that keeps labs |
"""

import getpass
import hashlib
import os
from collections.abc import Callable
from pathlib import Path

from dockyard.errors import UnknownName

#: Set while a submission is graded: then the grader looks, from outside, and not its kernel.
GRADING = "DOCKYARD_GRADING"

#: Says one line of progress to whoever waits.
Say = Callable[[str], None]


def quiet(_: str) -> None:
    """Say nothing."""


def course_dir() -> Path:
    """The folder of the course; the checkout unless DOCKYARD_COURSE names another."""
    return Path(os.environ.get("DOCKYARD_COURSE") or Path(__file__).parent.parent).resolve()


def state_dir() -> Path:
    """The folder for what belongs to this machine only: keys, the embedded engine's data."""
    return Path(os.environ.get("DOCKYARD_STATE") or course_dir() / ".dockyard").resolve()


def site() -> str:
    """A short name for this installation, so that two of them on one engine stay apart."""
    return hashlib.sha256(str(state_dir()).encode()).hexdigest()[:8]


def replaced_image(name: str) -> str | None:
    """The image that a setting puts in the place of our image *name*, if any."""
    return os.environ.get(f"DOCKYARD_IMAGE_{name.upper()}") or None


def images_by() -> str:
    """How images get into hosts: "seed" or "load"."""
    return os.environ.get("DOCKYARD_IMAGES_BY") or "seed"


def host_runtime() -> str | None:
    """The hardened runtime for lab hosts, if one is named."""
    return os.environ.get("DOCKYARD_HOST_RUNTIME") or None


def desk() -> str | None:
    """Where a hub's desk answers, in a place of the hub: it keeps the labs then."""
    return os.environ.get("DOCKYARD_DESK") or None


def labs_each() -> int:
    """How many labs one learner may have at once; 0 where nobody has set a limit.

    Raises:
        UnknownName: what is set is no such number.
    """
    told = os.environ.get("DOCKYARD_LABS_EACH") or "0"
    if not told.isdecimal():
        raise UnknownName(f'DOCKYARD_LABS_EACH is "{told}". Set it to a number of labs, such as 2.')
    return int(told)


def patience() -> float:
    """How many times slower than an ordinary one this machine is, as its owner says."""
    try:
        return max(float(os.environ.get("DOCKYARD_PATIENCE") or 1), 1.0)
    except ValueError:
        return 1.0


def default_learner() -> str:
    """The name of the person at the keyboard."""
    return os.environ.get("JUPYTERHUB_USER") or getpass.getuser()
