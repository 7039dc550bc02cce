"""What there is to say of a thing in the picture, when somebody looks closer."""

from contextlib import suppress
from typing import Any

import docker
import msgspec
from docker.errors import DockerException
from docker.models.containers import Container

from dockyard.errors import LabError
from dockyard.faults import LOG_LINES
from dockyard.keeper import Keeper
from dockyard.lab import Lab
from dockyard.picture.scene import plain
from dockyard.screen.acting import (
    CUT_OFF,
    JOIN_AGAIN,
    KILL,
    START,
    START_HOST,
    STOP,
    STOP_HOST,
    Action,
    Thing,
    container_of,
)

TASKS = 8


class Details(msgspec.Struct, frozen=True):
    """What is to be said of a thing.

    Attributes:
        name: what it is called.
        facts: name and value, for a table.
        log: the last lines.
        shell: the command that opens a shell there, or shows more.
    """

    thing: Thing
    name: str
    title: str
    facts: list[tuple[str, str]]
    log: str
    shell: str
    actions: list[Action] = []


def details(keeper: Keeper, lab: Lab, thing: Thing) -> Details:
    """Look closer.

    Raises:
        LabError, DockerException, OSError: it is gone, or its engine does not answer.
    """
    if thing.service:
        return _of_service(lab, thing)
    return _of_container(lab, thing) if thing.container else _of_host(keeper, lab, thing)


def _of_host(keeper: Keeper, lab: Lab, thing: Thing) -> Details:
    there = keeper.look(lab, thing.host)
    facts, actions = [("state", there.status)], [START_HOST]
    if there.status == "running":
        facts = [
            ("state", "running, cut off from the other hosts" if there.cut_off else "running"),
            ("address", f"{there.address} (between the hosts)"),
            ("memory limit", f"{there.memory // 2**20} MB"),
            ("started", _moment(there.started)),
        ]
        actions = [STOP_HOST]
        if len(lab.hosts) > 1:
            actions.append(JOIN_AGAIN if there.cut_off else CUT_OFF)
    host, shell = thing.host, _shell(lab, thing.host)
    return Details(thing, host, host, facts, there.log, shell, actions)


def _of_container(lab: Lab, thing: Thing) -> Details:
    there = container_of(lab, thing)
    attrs: dict[str, Any] = there.attrs
    config, state = attrs["Config"], attrs["State"]
    networks = attrs["NetworkSettings"]["Networks"]
    command = [*(config.get("Entrypoint") or []), *(config.get("Cmd") or [])]
    facts = [
        ("state", there.status + ("" if there.status == "running" else _exit_code(state))),
        ("image", config["Image"].split("@")[0]),
        ("command", " ".join(command)),
        ("user", config.get("User") or "root"),
        ("restart policy", attrs["HostConfig"]["RestartPolicy"]["Name"] or "no"),
        *((f"address on {name}", each["IPAddress"]) for name, each in networks.items()),
        *((f"{each['Type']} at {each['Destination']}", _source(each)) for each in attrs["Mounts"]),
        ("started", _moment(state["StartedAt"])),
    ]
    name, host = plain(str(there.name)), thing.host
    shell = _shell(lab, host, f"docker exec --interactive --tty {there.short_id} sh")
    actions = [KILL, STOP] if there.status == "running" else [START]
    return Details(thing, name, f"{name} on {host}", facts, _log(there), shell, actions)


def _of_service(lab: Lab, thing: Thing) -> Details:
    name = thing.service
    host, client, there = _managed(lab, name)
    spec: dict[str, Any] = there.attrs["Spec"]
    task, update = spec["TaskTemplate"], spec.get("UpdateConfig") or {}
    constraints = task.get("Placement", {}).get("Constraints") or ["none"]
    replicas = spec["Mode"].get("Replicated", {}).get("Replicas", "one on each node")
    how = f"{update.get('Parallelism', 1)} at a time, {update.get('Order', 'stop-first')}"
    nodes = {str(each.id): each.attrs["Description"]["Hostname"] for each in client.nodes.list()}
    tasks: list[Any] = client.api.tasks({"service": name})  # type: ignore[no-untyped-call]
    youngest = sorted(tasks, key=lambda each: str(each["CreatedAt"]), reverse=True)[:TASKS]
    facts = [
        ("replicas", str(replicas)),
        ("image", task["ContainerSpec"]["Image"].split("@")[0]),
        ("constraints", ", ".join(constraints)),
        ("update", how),
        *(_task(each, nodes) for each in youngest),
    ]
    log = b""
    with suppress(DockerException):  # of some log drivers, nobody can read
        log = b"".join(client.api.service_logs(name, stdout=True, stderr=True, tail=str(LOG_LINES)))
    shell = _shell(lab, host, f"docker service ps {name}")
    return Details(thing, name, f"service {name}", facts, log.decode(errors="replace"), shell)


def _managed(lab: Lab, service: str) -> tuple[str, docker.DockerClient, Any]:
    """A host that manages a swarm, the way to it, and its service."""
    for host in lab.hosts:
        with suppress(DockerException, OSError):
            client = lab.client(host)
            return host, client, client.services.get(service)  # type: ignore[no-untyped-call]
    raise LabError(f'No manager of a swarm knows a service "{service}" now.')


def _shell(lab: Lab, host: str, *commands: str) -> str:
    """What to type in a terminal to turn it to a host, and go on there."""
    return " && ".join([f'eval "$(dockyard env {lab.exercise.id} {host})"', *commands])


def _moment(text: str) -> str:
    return text[:19].replace("T", " ") + " UTC"


def _source(mount: dict[str, Any]) -> str:
    return f"{mount.get('Name') or mount['Source']}{'' if mount['RW'] else ', read-only'}"


def _task(task: dict[str, Any], nodes: dict[str, str]) -> tuple[str, str]:
    """A task's name, and what became of it."""
    status, node = task["Status"], nodes.get(task.get("NodeID", ""), "no node yet")
    words = [f"{status['State']} on {node}", plain(status.get("Err", ""))]
    return f"task {task.get('Slot', '')}".rstrip(), "; ".join(filter(None, words))


def _exit_code(state: dict[str, Any]) -> str:
    return f" ({state['ExitCode']})" if state["Status"] == "exited" else ""


def _log(container: Container) -> str:
    return bytes(container.logs(tail=LOG_LINES)).decode(errors="replace")
