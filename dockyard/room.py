"""How many labs a machine carries, and when one more would sink the others."""

from typing import Any

import psutil

from dockyard.course import Exercise, exercise_ids, load_exercise
from dockyard.doctor import machine
from dockyard.doctor.finding import GB, Finding
from dockyard.errors import LabError
from dockyard.plural import counted

#: Bytes that a lab's host takes with 02_clustering solved, as `python -m bench rooms` has found
#: them, and a quarter more.
MEMORY = 215_000_000
#: The share of a core that is kept for each host. One on which nothing happens takes an eighth of
#: that (`bench rooms`); what learners run there takes the rest, and they do not all work at once.
CORE = 0.02
#: Bytes that stay for the rest: the outer engine, JupyterLab, a kernel, a browser.
REST = GB


def largest() -> Exercise:
    """The exercise whose lab takes most."""
    return max(map(load_exercise, exercise_ids()), key=lambda each: len(each.lab.hosts))


def refuse_if_full(info: dict[str, Any], hosts: int) -> None:
    """Check that there is room for some hosts more; elsewhere than here, nobody knows.

    Args:
        info: what the outer engine says of itself.

    Raises:
        LabError: there is not.
    """
    free = psutil.virtual_memory().available
    if machine.is_here(info) and free < hosts * MEMORY + REST:
        raise LabError(
            f"{free / GB:.1f} GB of memory are free. {counted(hosts, 'host')} would take "
            f"{hosts * MEMORY / GB:.1f} GB, and {REST / GB:g} GB stay for the labs that run. End a "
            "lab that nobody needs (`dockyard status`, `dockyard down ID`), or another program."
        )


def finding(info: dict[str, Any], learners: int) -> Finding:
    """Whether the machine carries so many learners, each with the largest lab."""
    exercise = largest()
    hosts, cores = len(exercise.lab.hosts), info["NCPU"]
    here = machine.is_here(info)
    free = psutil.virtual_memory().available if here else info["MemTotal"]
    carried = min(int((free - REST) // (hosts * MEMORY)), int(cores / (hosts * CORE)))
    found = (
        f"carries {counted(max(carried, 0), 'lab')} of {exercise.id} more ({hosts} hosts, "
        f"{hosts * MEMORY / GB:.1f} GB and {hosts * CORE:.0%} of a core each; {free / GB:.1f} GB "
        f"{'free' if here else 'in all'}, {counted(cores, 'core')})"
    )
    if carried >= learners:
        means = f"enough for {learners}; a lab that would sink the others is not started"
        return Finding("room", "ok", found, means)
    means = f"too few for {learners}; the labs that find no room are not started, and say why"
    mend = "learners on machines of their own, or a larger one; exercises with fewer hosts"
    return Finding("room", "remark", found, means, mend)
