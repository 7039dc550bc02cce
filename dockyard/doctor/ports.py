"""Whether labs and JupyterLab find ports: really bound, for a moment."""

import socket
from collections import Counter
from collections.abc import Collection

import psutil

from dockyard.course import Exercise
from dockyard.doctor.finding import Finding, State
from dockyard.hosts import API_PORT
from dockyard.jupyter import DEFAULT_PORT
from dockyard.lab import PORTS

#: Labs for which there should be ports, where nobody says how many learners there are.
ROOM = 30


def jupyter() -> Finding:
    name = "JupyterLab's port"
    if _is_free(DEFAULT_PORT):
        return Finding(name, "ok", f"{DEFAULT_PORT} is free", "every lesson opens there")
    found = f"{DEFAULT_PORT} is taken by {_holders({DEFAULT_PORT})}"
    means = "JupyterLab takes the next one that is free, for every lesson, and says which"
    return Finding(name, "remark", found, means, "end that program, if the port matters to you")


def labs(exercise: Exercise, learners: int) -> Finding:
    """Whether so many labs of an exercise find ports; those of labs that run are taken."""
    name = "ports of labs"
    each = len({API_PORT, *exercise.lab.ports}) * len(exercise.lab.hosts)
    taken = {port for port in PORTS if not _is_free(port)}
    free = len(PORTS) - len(taken)
    found = f"{free} of {PORTS[0]} to {PORTS[-1]} are free; a lab of {exercise.id} takes {each}"
    if free >= each * (learners or ROOM):
        return Finding(name, "ok", found, "each lab has some to itself, in every lesson")
    found += f"; taken by {_holders(taken)}"
    means = f"too few for {learners or ROOM} labs; the next are not started, whatever the lesson"
    state: State = "broken" if free < each * max(learners, 1) else "remark"
    mend = "end these programs (ss -tlnp), or labs that nobody needs: dockyard reset --all"
    return Finding(name, state, found, means, mend)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # As JupyterLab does: connections of a program that has ended are in nobody's way.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _holders(ports: Collection[int]) -> str:
    """The programs that hold most of *ports*, as far as this user may see them."""
    try:
        there = psutil.net_connections("tcp")
    except psutil.Error:
        return "a program that this user may not see"
    holders = Counter(each.pid for each in there if each.laddr and each.laddr.port in ports)
    return (
        ", ".join(_program(pid, number) for pid, number in holders.most_common(3)) or "nobody now"
    )


def _program(pid: int | None, number: int) -> str:
    times = f" ({number} of them)" if number > 1 else ""
    if pid is None:
        return f"programs of other users{times}"
    try:
        return f'"{psutil.Process(pid).name()}", process {pid}{times}'
    except psutil.Error:
        return f"process {pid}{times}"
