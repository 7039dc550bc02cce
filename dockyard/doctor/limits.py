"""What the kernel lends to programs: really taken, counted, and given back."""

import ctypes
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from dockyard.doctor import machine
from dockyard.doctor.finding import Finding, State

#: inotify instances for each lab host. With cgroup version 2, containerd watches each container
#: with one of its own: the host, and what 02_clustering runs on it. With version 1, it takes none.
INSTANCES = {"1": 1, "2": 6}
#: The two files that it watches of a container; any will do to count.
WATCHED = (b"/", b"/proc")
IN_MODIFY = 2
SYSCTL = "fs.inotify.max_user_instances"
#: Files that a notebook's kernel, which talks to each host of a lab, and JupyterLab must, and
#: should, be able to open.
FILES, FILES_FOR_ALL = 128, 512


def inotify(info: dict[str, Any], hosts: int) -> Finding:
    """As this user: other users' programs have instances of their own, as have other machines.

    Args:
        info: what the outer engine says of itself.
        hosts: how many lab hosts are to run.
    """
    means = "containers of labs start, in every lesson"
    if not machine.is_here(info) or not hasattr(ctypes.CDLL(None), "inotify_init1"):
        return Finding("inotify", "ok", "the engine's machine has its own", means)
    need = hosts * INSTANCES.get(str(info.get("CgroupVersion", "1")), 6)
    taken, why = take(_instance, need)
    if taken == need or why == "files":  # of which another point tells
        found = f"{taken} instances can be had; {hosts} lab hosts take up to {need}"
        return Finding("inotify", "ok", found, means)
    limit = Path("/proc/sys", SYSCTL.replace(".", "/")).read_text().strip()
    found = f"{taken} instances can be had of {need} that {hosts} lab hosts take (limit: {limit})"
    means = "containers do not start, or are not seen to end, in every lesson"
    mend = f"sudo sysctl -w {SYSCTL}=8192 fs.inotify.max_user_watches=524288"
    return Finding("inotify", "broken", found, means, mend)


def open_files() -> Finding:
    name, means = "open files", "notebooks and JupyterLab open that many, in every lesson"
    taken, _ = take(lambda: os.open(os.devnull, os.O_RDONLY), FILES_FOR_ALL)
    if taken == FILES_FOR_ALL:
        return Finding(name, "ok", f"{taken} and more can be open in one program", means)
    found = f"{taken} more can be open in one program, of {FILES_FOR_ALL}"
    means = "notebooks and JupyterLab may come to a stop, in every lesson"
    state: State = "broken" if taken < FILES else "remark"
    return Finding(name, state, found, means,
                   "ulimit -n 4096, or nofile in /etc/security/limits.conf")  # fmt: skip


def take(one: Callable[[], int], count: int) -> tuple[int, str]:
    """Take *count* of something that is a file descriptor, and give all back.

    Returns:
        how many could be had; and "files" where it is open files that ran out.
    """
    had: list[int] = []
    try:
        while len(had) < count:
            had.append(one())
    except OSError:
        return len(had), "" if _can_open() else "files"
    finally:
        for each in had:
            os.close(each)
    return count, ""


def _can_open() -> bool:
    with suppress(OSError):
        os.close(os.open(os.devnull, os.O_RDONLY))
        return True
    return False


def _instance() -> int:
    """One instance with the watches of one container."""
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = int(libc.inotify_init1(os.O_CLOEXEC))
    if descriptor < 0:
        raise OSError(ctypes.get_errno(), "no inotify instance")
    if any(libc.inotify_add_watch(descriptor, path, IN_MODIFY) < 0 for path in WATCHED):
        os.close(descriptor)
        raise OSError(ctypes.get_errno(), "no inotify watch")
    return descriptor
