"""Who keeps the labs: this machine's engine, or a hub's desk (dockyard/hub/).

Notebooks, panel, picture and commands ask a keeper, and so work in both places.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Protocol

from dockyard.course import Exercise
from dockyard.lab import Lab, LabName
from dockyard.report import Report, Tell, nobody
from dockyard.settings import Say, quiet

if TYPE_CHECKING:  # in a submission's sandbox there is no engine, and none of these
    from dockyard.faults import HostState
    from dockyard.lifecycle import Removed

#: What an engine says has happened.
Happened = dict[str, Any]
#: What changes a picture or a verdict. What engines also tell (every `exec`, and so every health
#: check and every look of a grader) does not.
CHANGES = [
    "create", "start", "restart", "pause", "unpause", "die", "destroy", "rename", "update", "oom",
    "health_status", "connect", "disconnect", "mount", "remove", "tag", "untag", "load", "delete",
]  # fmt: skip


class Keeper(Protocol):
    """What can be asked of whoever keeps labs.

    Each call may raise DockyardError, DockerException or OSError; the first is for people.
    """

    def up(self, exercise: Exercise, learner: str, say: Say = quiet) -> Lab:
        """Make sure that a lab runs."""

    def find(self, exercise: Exercise, learner: str) -> Lab:
        """The lab that is there.

        Raises:
            UnknownName: there is none.
        """

    def down(self, name: LabName) -> "Removed":
        """Remove a lab."""

    def reset(self, exercise: Exercise, learner: str, say: Say = quiet) -> "tuple[Lab, Removed]":
        """Bring a lab back to the start."""

    def labs(self, learner: str) -> dict[LabName, int]:
        """A learner's labs → bytes of memory that they use."""

    def check(
        self,
        exercise: Exercise,
        learner: str,
        task: str | None = None,
        gently: bool = False,
        tell: Tell = nobody,
    ) -> Report:
        """Look at a lab, as dockyard.checker does."""

    def warm_up(self) -> None:
        """A check may be asked for soon."""

    def events(self, lab: Lab) -> Iterator[Happened]:
        """What happens to a lab's hosts; an empty one as soon as they are listened to."""

    def look(self, lab: Lab, host: str) -> "HostState":
        """A host as the outer engine knows it."""

    def cause(self, lab: Lab, fault: str, host: str) -> None:
        """Do to a host what a button says (dockyard.faults)."""

    def is_heard(self) -> bool:
        """Whether a board is there for whoever asks for help."""

    def ask_for_help(self, name: LabName, wanted: bool) -> None:
        """Ask for help with a lab, or take that back."""

    def shell_variables(self) -> dict[str, str]:
        """What tells a shell that is turned to a lab where its keeper is."""
