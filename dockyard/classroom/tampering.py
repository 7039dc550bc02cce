"""Whether somebody became root on a lab host: then nothing that it says can be believed.

What a host answers is made by programs on it. So the outer engine is asked, which sees the
host's processes and changed files with the machine's own kernel.
"""

from collections.abc import Callable
from typing import TypeVar

import docker
import msgspec
from docker.errors import APIError
from docker.models.containers import Container

from dockyard.lab import Lab, containers, side_by_side

#: Below these, processes are those of containers.
SHIMS = {"containerd-shim", "containerd-shim-runc-v2"}
#: Programs of a host's own, and those that its engine calls.
OURS = {"tini", "containerd", "dockerd", "docker-proxy"}
CALLED = {"crun", "runc", "iptables", "ip6tables", "xtables-nft-mul", "modprobe", "unpigz", "sh"}
#: Folders in which something is new from the start.
TOUCHED = {"/etc", "/seed"}
#: Where a host's engine writes in its own file system. What exercises bind is not the host's, too.
WRITTEN = ("/etc/docker", "/etc/resolv.conf", "/etc/hosts", "/opt", "/run", "/srv", "/tmp", "/var")  # noqa: S108


T = TypeVar("T")


class Seen(msgspec.Struct, frozen=True):
    """One host, as the outer engine sees it.

    Attributes:
        engine: the process of its dockerd; 0 where there is none.
        strangers: processes that are neither its engine's nor a container's.
    """

    started: str
    engine: int
    strangers: frozenset[str]


def look(engine: docker.DockerClient, lab: Lab) -> dict[str, Seen]:
    """Every host of a lab, as it is now."""
    return _of_each_host(engine, lab, _seen)


def signs(engine: docker.DockerClient, lab: Lab, before: dict[str, Seen]) -> list[str]:
    """What has happened to the hosts that no engine of theirs does; a sentence each.

    Args:
        before: how they looked when nobody had worked on them.
    """
    after, changed = look(engine, lab), _of_each_host(engine, lab, _changed)
    found = []
    for host, was in before.items():
        now = after.get(host)
        if now is None or now.started != was.started:
            found.append(f'"{host}" was started anew')
        elif now.engine != was.engine:
            found.append(f'the engine of "{host}" was started anew')
        else:
            strange = sorted([*(now.strangers - was.strangers), *changed[host]])
            found += [f'on "{host}" there is {what}' for what in strange]
    return found


def _of_each_host(
    engine: docker.DockerClient, lab: Lab, ask: Callable[[Container], T]
) -> dict[str, T]:
    there = containers(engine, lab.name)
    return dict(zip(there, side_by_side(ask, there.values()), strict=True))


def _seen(container: Container) -> Seen:
    try:
        processes = container.top(ps_args="-eo pid,ppid,comm")["Processes"] or []
    except APIError:  # it does not run
        processes = []
    of = {pid: (parent, name) for pid, parent, name in processes}

    def is_inside(pid: str) -> bool:
        parent, name = of[pid]
        return name in SHIMS or (parent in of and is_inside(parent))

    own = [pid for pid in of if not is_inside(pid)]
    engines = [int(pid) for pid in own if of[pid][1] == "dockerd"]
    strangers = {f'a process "{of[pid][1]}"' for pid in own if of[pid][1] not in OURS | CALLED}
    return Seen(
        started=str(container.attrs["State"]["StartedAt"]),
        engine=engines[0] if len(engines) == 1 else 0,
        strangers=frozenset(strangers),
    )


def _changed(container: Container) -> list[str]:
    """Files that have changed; the engine compares whole file systems, which takes 0.2 s."""
    paths = {str(each["Path"]) for each in container.diff() or []} - TOUCHED
    return [f'a changed "{path}"' for path in paths if not path.startswith(WRITTEN)]
