"""Makes `!` commands show all that they print, also while threads of ours follow the lab.

IPython reads a command through pexpect, which looks whether there is output, and 50 ms later
whether the command still runs. What is printed between a look that finds nothing and the
command's end is lost (pexpect.pty_spawn, read_nonblocking). Other threads make that gap wide.
"""

from select import select
from typing import Any

import pexpect  # type: ignore[import-untyped]


class _Whole(pexpect.spawn):  # type: ignore[misc]
    """Counts as alive for as long as there is something to read; an end is that, too."""

    def isalive(self) -> Any:
        alive = super().isalive()  # and keep the exit status, whatever is left to read
        return alive or (not self.ptyproc.closed and bool(select([self.child_fd], [], [], 0)[0]))


def ensure() -> None:
    """From now on, in this process."""
    pexpect.spawn = _Whole
