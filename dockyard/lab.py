"""A lab: a learner's hosts for one exercise. What runs is known from labels alone."""

import json
import random
import re
import socket
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

import docker
from docker.errors import APIError
from docker.models.containers import Container
from docker.models.images import Image
from docker.tls import TLSConfig

from dockyard import certificates, sdk, settings
from dockyard.course import Exercise
from dockyard.errors import LabError, UnknownName
from dockyard.hosts import API_PORT

#: Set where the Docker variables have been turned to a lab host, so that they no longer name
#: the outer engine; what they were before is kept under DOCKYARD_ENGINE_*.
LAB_MARK = "DOCKYARD_LAB"

LAB_LABEL = "dockyard.lab"
SITE_LABEL = "dockyard.site"
EXERCISE_LABEL = "dockyard.exercise"
LEARNER_LABEL = "dockyard.learner"
HOST_LABEL = "dockyard.host"
PORTS_LABEL = "dockyard.ports"
#: On a learner's place in a hub, which the hub lets into the networks of their labs.
PLACE_LABEL = "dockyard.place"
#: On a grader's own containers on a lab's hosts (graders/containers.py): no work of a learner.
PROBE_LABEL = "dockyard.probe"

CALL_TIMEOUT = 60  # seconds
#: Where labs' ports come from: below the range from which the kernel takes ports for outgoing
#: connections (32768 and up, ip(7)): a lab gives its ports up for a moment when it is reset, and
#: wants them back.
PORTS = range(20000, 32768)

T = TypeVar("T")
S = TypeVar("S")


def side_by_side(work: Callable[[S], T], things: Iterable[S]) -> list[T]:
    """Do *work* for all things at once; the first error rises when all are done."""
    things = list(things)
    with ThreadPoolExecutor(max_workers=max(len(things), 1)) as pool:
        return list(pool.map(work, things))


def slug(name: str) -> str:
    """*name* as it may stand in names of containers and folders; different names stay different."""
    plain = re.sub(r"[^A-Za-z0-9_-]", "-", name)
    # Nobody may be called as another one's name is written.
    if plain == name and not re.search("-[0-9a-f]{6}$", name):
        return name
    return f"{plain[:24]}-{sha256(name.encode()).hexdigest()[:6]}"


@dataclass(frozen=True)
class LabName:
    """Whose lab it is, and for which exercise."""

    exercise: str
    learner: str

    @property
    def label(self) -> str:
        return f"{self.exercise}/{self.learner}"

    @property
    def prefix(self) -> str:
        """What the names of its container, network and volumes begin with."""
        return f"dockyard-{settings.site()}-{self.exercise}-{slug(self.learner)}"

    @property
    def keys(self) -> Path:
        return settings.state_dir() / "labs" / self.exercise / slug(self.learner)

    @property
    def reached(self) -> Path:
        """What its learner has done in it, without a suffix; it outlives the lab."""
        return settings.state_dir() / "progress" / slug(self.learner) / self.exercise

    def labels(self) -> dict[str, str]:
        """The record on everything that belongs to the lab."""
        return {
            SITE_LABEL: settings.site(),
            LAB_LABEL: self.label,
            EXERCISE_LABEL: self.exercise,
            LEARNER_LABEL: self.learner,
        }

    def filters(self) -> dict[str, Any]:
        return {"label": [f"{SITE_LABEL}={settings.site()}", f"{LAB_LABEL}={self.label}"]}


class Lab:
    """A lab that is there: the way to its hosts.

    Attributes:
        name: exercise and learner.
        exercise: what the lab is for.
        hosts: the hosts' names, in order.
        ports: host → container port → loopback port of this machine; empty on the lab's own
            network, where hosts are reached by their names.

    Args:
        engine: the outer one, where it can be asked.
        mesh: whether there is a routing mesh, where somebody has told.
    """

    def __init__(
        self,
        engine: docker.DockerClient | None,
        exercise: Exercise,
        name: LabName,
        ports: str = "{}",
        mesh: bool | None = None,
    ) -> None:
        self._engine, self._mesh = engine, mesh
        self.exercise = exercise
        self.name = name
        self.hosts = exercise.lab.hosts
        self.ports: dict[str, dict[int, int]] = {
            host: {int(port): local for port, local in ports.items()}
            for host, ports in json.loads(ports).items()
        }
        self._clients: dict[str, docker.DockerClient] = {}

    def known(self, name: str) -> str:
        """*name*, if the lab has such a host.

        Raises:
            UnknownName: it has not.
        """
        if name not in self.hosts:
            raise UnknownName(f'The lab has no host "{name}". Its hosts: {", ".join(self.hosts)}.')
        return name

    def address(self, host: str) -> str:
        """The DOCKER_HOST of one host."""
        return f"tcp://{self._reached_at(self.known(host), API_PORT)}"

    def _reached_at(self, host: str, port: int) -> str:
        return f"127.0.0.1:{self.ports[host][port]}" if self.ports else f"{host}:{port}"

    def environment(self, host: str) -> dict[str, str]:
        """The variables that lead `docker` and the SDK to one host."""
        return {
            LAB_MARK: self.name.label,
            "DOCKER_HOST": self.address(host),
            "DOCKER_TLS_VERIFY": "1",
            "DOCKER_CERT_PATH": str(self.name.keys),
            **certificates.trust_variables(self.name.keys),
        }

    def url(self, host: str, port: int) -> str:
        """Where a browser on this machine finds what *host* publishes on *port*.

        Raises:
            UnknownName: the lab has no such host, or publishes no such port.
        """
        if port not in self.exercise.lab.ports:
            known = ", ".join(map(str, self.exercise.lab.ports))
            raise UnknownName(f"The lab does not publish port {port}. It publishes: {known}.")
        return f"http://{self._reached_at(self.known(host), port)}"

    def client(self, host: str) -> docker.DockerClient:
        """The Docker SDK, connected to one host."""
        if host not in self._clients:
            self._clients[host] = sdk.connect_unasked(self.address(host), self._tls, CALL_TIMEOUT)
        return self._clients[host]

    def image(self, tag: str) -> Image:
        """An image of ours, as the outer engine has it: on a host, its name may mean another."""
        assert self._engine is not None
        return self._engine.images.get(tag)

    def unreachable(self, host: str) -> str:
        """The line for a person when *host* does not answer."""
        return (
            f'Lab host "{host}" of "{self.name.label}" does not answer. '
            f"`dockyard up {self.exercise.id}` starts it again."
        )

    @cached_property
    def has_routing_mesh(self) -> bool:
        """Whether this kernel has IPVS, on which swarm's routing mesh and virtual addresses stand.

        The module is loaded on demand, which is what a host asks for when it starts
        (images/host/start-engine).
        """
        if self._mesh is not None:
            return self._mesh
        assert self._engine is not None  # in a submission's kernel, the runner has told already
        command = ["test", "-e", "/proc/net/ip_vs"]
        made = self._engine.containers.get(f"{self.name.prefix}-{self.hosts[0]}")
        return bool(made.exec_run(command).exit_code == 0)

    @cached_property
    def _tls(self) -> TLSConfig:
        ca, cert, key = (str(self.name.keys / name) for name in ("ca.pem", "cert.pem", "key.pem"))
        # The certificate names 127.0.0.1 and the hosts; nobody else's would be accepted.
        return TLSConfig(client_cert=(cert, key), ca_cert=ca, verify=True)


def find(engine: docker.DockerClient, exercise: Exercise, learner: str) -> Lab:
    """The lab of a learner for an exercise.

    Raises:
        UnknownName: there is none.
    """
    name = LabName(exercise.id, learner)
    networks = engine.networks.list(filters=name.filters())
    if not networks or not containers(engine, name):
        raise UnknownName(
            f'"{learner}" has no lab for "{exercise.id}". Start one: `dockyard up {exercise.id}`.'
        )
    return Lab(engine, exercise, name, networks[0].attrs["Labels"][PORTS_LABEL])


def containers(engine: docker.DockerClient, name: LabName) -> dict[str, Container]:
    """The lab's hosts as the outer engine knows them, running or not."""
    filters: dict[str, Any] = {"label": [*name.filters()["label"], HOST_LABEL]}
    found = engine.containers.list(all=True, filters=filters, ignore_removed=True)
    return {container.labels[HOST_LABEL]: container for container in found}


def all_names(engine: docker.DockerClient, learner: str | None = None) -> list[LabName]:
    """Every lab of this installation, or of one learner; also half-made and half-removed ones."""
    label = [f"{SITE_LABEL}={settings.site()}"]
    if learner is not None:
        label.append(f"{LEARNER_LABEL}={learner}")
    filters = {"label": label}
    found: list[dict[str, Any]] = [
        *engine.api.containers(all=True, filters=filters),
        *engine.api.networks(filters=filters),
        *(engine.api.volumes(filters=filters)["Volumes"] or []),
    ]
    names = {(each["Labels"][EXERCISE_LABEL], each["Labels"][LEARNER_LABEL]) for each in found}
    return [LabName(*name) for name in sorted(names)]


def free_ports(count: int, taken: Iterable[int] = ()) -> list[int]:
    """Loopback ports that nobody uses now.

    Args:
        taken: others that are spoken for.

    Raises:
        LabError: there are not so many.
    """
    found: list[int] = []
    left = sorted({*PORTS}.difference(taken))
    for port in random.sample(left, len(left)):
        if len(found) == count:
            break
        if is_port_free(port):
            found.append(port)
    if len(found) < count:
        raise LabError(f"This machine has no {count} free ports from {PORTS[0]} to {PORTS[-1]}.")
    return found


def is_port_free(port: int, address: str = "") -> bool:
    """Whether nobody listens at it on an address of this machine; on any of them by default."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections of the past
        with suppress(OSError):
            probe.bind((address, port))
            return True
    return False


def is_port_taken(error: APIError) -> bool:
    text = str(error.explanation)
    return "address already in use" in text or "port is already allocated" in text
