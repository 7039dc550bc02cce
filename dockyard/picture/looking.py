"""Asks the hosts of a lab what they run.

A learner's engine may answer anything. So an answer is read up to a size, and of what is in it
only what has the right type.
"""

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import docker
import msgspec
from docker.errors import DockerException

from dockyard.lab import PROBE_LABEL, Lab, side_by_side
from dockyard.picture.scene import (
    MOST_TEXT,
    Container,
    Host,
    Mount,
    Network,
    Scene,
    Service,
)
from dockyard.settings import patience
from dockyard.swarm import short_name

#: How much of one answer is read; 10,000 containers are some 12 MB.
MOST_BYTES, CHUNK = 2**25, 2**16
TIMEOUT = 10  # seconds for one answer, on an ordinary machine

#: How an engine says, with its answer to a ping, which part it has in a swarm.
ROLES = {"active/manager": "manager", "active/worker": "worker"}
STANDING = {"drain": "drained", "pause": "paused"}
#: Docker's own networks: these lead to no other container, those count when a container is there.
NEVER_SHOWN, SHOWN_IF_USED = {"host", "none", "docker_gwbridge"}, {"bridge", "ingress"}
ANY_ADDRESS = {"", "0.0.0.0", "::"}  # noqa: S104 (nothing is bound to it here)

T = TypeVar("T")


@dataclass(frozen=True)
class View:
    """What one engine answers, in the API's own words.

    Attributes:
        role: "manager" or "worker" of a swarm, or nothing.
    """

    role: str
    containers: list[Any]
    networks: list[Any]
    volumes: list[Any]
    nodes: list[Any] = field(default_factory=list)
    services: list[Any] = field(default_factory=list)


def look(lab: Lab) -> Scene:
    """Ask the engines of all hosts, side by side; one that does not answer is shown as such."""
    answers = side_by_side(lambda host: ask(lab, host), lab.hosts)
    return compose(dict(zip(lab.hosts, answers, strict=True)))


def compose(answers: Mapping[str, View | None]) -> Scene:
    """The scene of hosts, of which each has answered, or not."""
    views = {host: view for host, view in answers.items() if view}
    hosts = [_host(host, views) for host in answers]
    return Scene(hosts, _networks(views), _services(views))


def ask(lab: Lab, host: str) -> View | None:
    """What one host's engine answers; None if it does not."""
    try:
        api = lab.client(host).api
        ping = api.head(f"{api.base_url}/_ping", timeout=TIMEOUT * patience())
        view = View(
            ROLES.get(ping.headers.get("Swarm", ""), ""),
            containers=[
                each
                for each in _ask(api, "containers/json?all=1", list)
                if PROBE_LABEL not in _find(each, "Labels", dict)
            ],
            networks=_ask(api, "networks", list),
            volumes=_find(_ask(api, "volumes", dict), "Volumes", list),
        )
    except (DockerException, OSError):  # all that requests raises is an OSError
        return None
    if view.role != "manager":
        return view
    try:
        nodes, services = _ask(api, "nodes", list), _ask(api, "services?status=1", list)
    except OSError:  # it is a manager, but most of the managers are gone
        return view
    return replace(view, nodes=nodes, services=services)


def _ask(api: docker.APIClient, path: str, kind: type[T]) -> T:
    """An engine's answer, if it is of that kind; the SDK's own methods would read without end."""
    url, answer = f"{api.base_url}/v{api.api_version}/{path}", bytearray()
    with api.get(url, timeout=TIMEOUT * patience(), stream=True) as response:
        response.raise_for_status()
        for chunk in response.iter_content(CHUNK):
            answer += chunk
            if len(answer) > MOST_BYTES:
                return kind()
    try:
        return _find(msgspec.json.decode(answer), "", kind)
    except (msgspec.DecodeError, RecursionError):
        return kind()


def _find(thing: Any, path: str, kind: type[T]) -> T:
    """What *thing* has at *path*, if it is of that kind; else an empty one."""
    for key in path.split(".") if path else []:
        thing = thing.get(key) if isinstance(thing, dict) else None
    return thing if isinstance(thing, kind) else kind()


def _host(name: str, views: Mapping[str, View]) -> Host:
    view, (role, standing) = views.get(name), _part_in_swarm(name, views)
    if view is None:
        return Host(name, answers=False, role=role, standing=standing)
    names = {_find(raw, "Id", str): _short_name(raw) for raw in view.containers}
    containers = [_container(raw, names) for raw in view.containers]
    mounts = [mount for raw in view.containers for mount in _find(raw, "Mounts", list)]
    free = {_find(each, "Name", str) for each in view.volumes}
    free -= {_find(mount, "Name", str) for mount in mounts}
    return Host(
        name,
        role=role,
        standing=standing,
        containers=sorted(containers, key=lambda each: (each.state != "running", each.name)),
        volumes=sorted(map(_volume_name, free)),
    )


def _part_in_swarm(name: str, views: Mapping[str, View]) -> tuple[str, str]:
    """Role and standing of a host; a manager knows best about itself."""
    view = views.get(name)
    if view and not view.role:
        return "", ""  # a manager may remember it from before it left
    managers = [view, *views.values()] if view else views.values()
    nodes = [node for manager in managers for node in manager.nodes]
    known = [node for node in nodes if _find(node, "Description.Hostname", str) == name]
    # Who has left and joined again is listed twice.
    node: Any = max(known, key=lambda each: _find(each, "Status.State", str) == "ready", default={})
    role = view.role if view else _find(node, "Spec.Role", str)
    leads = ", leader" if _find(node, "ManagerStatus.Leader", bool) else ""
    state, availability = (_find(node, path, str) for path in ("Status.State", "Spec.Availability"))
    return role + leads, STANDING.get(availability, "") if state == "ready" else state


def _short_name(raw: Any) -> str:
    names = _find(raw, "Names", list)
    name = _find(names[0] if names else "", "", str) or _find(raw, "Id", str)[:12]
    return short_name(name)


def _volume_name(name: str) -> str:
    return name[:12] if re.fullmatch("[0-9a-f]{64}", name) else name  # one that was given none


def _container(raw: Any, names: Mapping[str, str]) -> Container:
    image, status = _find(raw, "Image", str).split("@")[0], _find(raw, "Status", str)[:MOST_TEXT]
    code = re.match(r"\w+( \(\d+\))", status)  # Exited (137) 2 minutes ago
    health = re.search(r"\((?:health: )?(healthy|unhealthy|starting)\)", status)
    other = _find(raw, "HostConfig.NetworkMode", str).partition("container:")[2]
    networks = [f"container:{names.get(other, other[:12])}"] if other else []
    return Container(
        name=_short_name(raw),
        image=image[:19] if image.startswith("sha256:") else image,
        state=_find(raw, "State", str) + (code[1] if code else ""),
        health=health[1] if health else "",
        ports=_ports(raw),
        networks=networks or sorted(_find(raw, "NetworkSettings.Networks", dict)),
        mounts=[_mount(each) for each in _find(raw, "Mounts", list)],
        id=_find(raw, "Id", str)[:12],
    )


def _mount(raw: Any) -> Mount:
    name = _volume_name(_find(raw, "Name", str)) or _find(raw, "Source", str)
    writable = _find(raw, "RW", bool)
    return Mount(name, _find(raw, "Type", str), read_only=not writable)


def _ports(raw: Any) -> list[str]:
    """The published ones; one that is published for IPv4 and IPv6 stands there twice."""
    found = set()
    for each in _find(raw, "Ports", list):
        if public := _find(each, "PublicPort", int):
            address = _find(each, "IP", str)
            at = "" if address in ANY_ADDRESS else f"{address}:"
            udp = "/udp" if _find(each, "Type", str) == "udp" else ""
            found.add((public, f"{at}{public}→{_find(each, 'PrivatePort', int)}{udp}"))
    return [text for _, text in sorted(found)]


def _networks(views: Mapping[str, View]) -> list[Network]:
    """Those of hosts, and those of swarms once, however many hosts know them; used ones first."""
    known: dict[tuple[str, ...], list[tuple[str, Any]]] = defaultdict(list)
    used = set()
    for host, view in views.items():
        for raw in view.containers:
            used |= {(host, name) for name in _find(raw, "NetworkSettings.Networks", dict)}
        for raw in view.networks:
            id_, scope = _find(raw, "Id", str), _find(raw, "Scope", str)
            known[(id_,) if scope == "swarm" else (host, id_)].append((host, raw))
    found = []
    for key, seen in known.items():
        name, driver = (_find(seen[0][1], path, str) for path in ("Name", "Driver"))
        ranges = [each for _, raw in seen for each in _find(raw, "IPAM.Config", list)]
        subnet = _find(ranges[0] if ranges else {}, "Subnet", str)
        swarm, idle = len(key) == 1, not any((host, name) in used for host, _ in seen)
        if name not in (NEVER_SHOWN | SHOWN_IF_USED if idle else NEVER_SHOWN):
            made = Network(
                name, driver, subnet, list(dict.fromkeys(host for host, _ in seen)), swarm
            )
            found.append((idle, not swarm, name, made))
    return [each[-1] for each in sorted(found, key=lambda each: each[:3])]


def _services(views: Mapping[str, View]) -> list[Service]:
    """Each once, however many managers know it."""
    known = {_find(raw, "ID", str): raw for view in views.values() for raw in view.services}
    return sorted(map(_service, known.values()), key=lambda each: each.name)


def _service(raw: Any) -> Service:
    running, wanted = (
        _find(raw, f"ServiceStatus.{kind}Tasks", int) for kind in ("Running", "Desired")
    )
    ports = [
        str(_find(port, "PublishedPort", int))
        for port in _find(raw, "Endpoint.Ports", list)
        if _find(port, "PublishMode", str) == "ingress"
    ]
    return Service(_find(raw, "Spec.Name", str), running, wanted, ports)
