"""Labs come and go: up, down, reset. Each may be killed at any moment and called again."""

import contextlib
import json
import shutil
from dataclasses import dataclass
from typing import Any

import docker
from docker.errors import APIError, DockerException, NotFound
from docker.models.containers import Container
from docker.models.images import Image
from docker.models.networks import Network

from dockyard import certificates, gate, hosts, images, room, seed, settings
from dockyard.alone import alone
from dockyard.course import Exercise
from dockyard.errors import DockyardError, LabError
from dockyard.lab import (
    HOST_LABEL,
    PLACE_LABEL,
    PORTS_LABEL,
    Lab,
    LabName,
    all_names,
    containers,
    free_ports,
    is_port_taken,
    side_by_side,
)
from dockyard.plural import counted
from dockyard.settings import Say, quiet
from dockyard.waiting import wait_until

#: What a sealed lab's host may store: nobody trusts what runs there not to fill the disk.
SEALED_DISK = "1g"
READY_TIMEOUT = 60  # seconds for a host's engine to answer, on a slow machine


@dataclass(frozen=True)
class Removed:
    """What went with a lab."""

    lab: str
    hosts: int
    volumes: int
    networks: int

    def __str__(self) -> str:
        hosts, volumes = counted(self.hosts, "host"), counted(self.volumes, "volume")
        return f'"{self.lab}": {hosts}, {volumes}, {counted(self.networks, "network")}'


def prepare(
    engine: docker.DockerClient, exercise: Exercise, say: Say = quiet
) -> tuple[Image, list[Image], str | None]:
    """Make sure of what all labs of an exercise share: host image, images inside, their seed.

    Raises:
        ImageError: an image cannot be had.
    """
    host_image, *contents = images.ensure_all(engine, ["host", *exercise.lab.images], say)
    return host_image, contents, seed.ensure(engine, host_image, contents, say)


def up(
    engine: docker.DockerClient,
    exercise: Exercise,
    learner: str,
    say: Say = quiet,
    sealed: bool = False,
) -> Lab:
    """Make sure that a learner's lab runs: make what is missing, start what has stopped.

    Work on hosts that run, or that had stopped, is kept.

    Args:
        sealed: for work that nobody trusts: nothing leads out of it (gate.py).

    Raises:
        LabError: a host does not come up, the message names it; or there is no room for it, or
            its learner has as many labs as one may have.
    """
    name = LabName(exercise.id, learner)
    info, there = engine.info(), containers(engine, name)
    missing = [host for host in exercise.lab.hosts if not _runs(there.get(host))]
    if missing and not sealed:  # grading watches the memory itself (classroom/places.py)
        room.refuse_if_full(info, len(missing))
    host_image, contents, shared = prepare(engine, exercise, say)
    network = _ensure_network(engine, exercise, name, sealed)
    certificates.ensure(name.keys, exercise.lab.hosts)
    lab = Lab(engine, exercise, name, network.attrs["Labels"][PORTS_LABEL])
    if sealed:
        gate.ensure(engine, lab, network)
    if missing:
        say(f"Starting {', '.join(missing)}")

    def ensure_host(host: str) -> None:
        spec = hosts.HostSpec(
            name=host,
            container=f"{name.prefix}-{host}",
            network=str(network.name),
            image=host_image,
            seed=shared,
            limits=exercise.lab.limits,
            labels=name.labels(),
            ports={} if sealed else lab.ports[host],
            keys=name.keys,
            engine_info=info,
            policy=gate.POLICY if sealed else None,
            dns=gate.name_server(engine, lab) if sealed else None,
            disk=SEALED_DISK if sealed else None,
        )
        _ensure_host(engine, lab, spec, there.get(host))
        _ensure_images(engine, lab.client(host), contents)

    side_by_side(ensure_host, lab.hosts)
    return lab


def down(engine: docker.DockerClient, name: LabName) -> Removed:
    """Remove a lab, with all that was on it and its keys. Does nothing where none is."""
    went = _remove_hosts(engine, name)
    networks = engine.networks.list(filters=name.filters())
    for network in networks:
        with contextlib.suppress(NotFound):
            _put_places_out(engine, network)
            network.remove()
    shutil.rmtree(name.keys, ignore_errors=True)
    return Removed(name.label, went.hosts, went.volumes, len(networks))


def reset(
    engine: docker.DockerClient, exercise: Exercise, learner: str, say: Say = quiet
) -> tuple[Lab, Removed]:
    """Bring a lab back to the start. Addresses and keys stay, so open notebooks stay connected."""
    went = _remove_hosts(engine, LabName(exercise.id, learner))
    return up(engine, exercise, learner, say), went


def _remove_hosts(engine: docker.DockerClient, name: LabName) -> Removed:
    there = engine.containers.list(all=True, filters=name.filters(), ignore_removed=True)
    side_by_side(hosts.remove, there)
    volumes = engine.volumes.list(filters=name.filters())
    for volume in volumes:  # of a removal that was killed
        with contextlib.suppress(NotFound):
            volume.remove(force=True)
    count = sum(HOST_LABEL in each.labels for each in there)
    return Removed(name.label, count, count + len(volumes), 0)


def _ensure_network(
    engine: docker.DockerClient, exercise: Exercise, name: LabName, sealed: bool
) -> Network:
    """The lab's network: made first, removed last; its label keeps the addresses over a reset."""
    for network in engine.networks.list(filters=name.filters()):
        return network
    inside = [hosts.API_PORT, *exercise.lab.ports]
    # The network's label takes the ports; until it is there, nobody else may choose.
    with alone("ports"):
        if not sealed:
            _refuse_one_too_many(engine, name)
        local = iter(free_ports(len(inside) * len(exercise.lab.hosts), _taken_ports(engine)))
        ports = {host: {port: next(local) for port in inside} for host in exercise.lab.hosts}
        labels = {**name.labels(), PORTS_LABEL: json.dumps(ports)}
        options = gate.NETWORK if sealed else {}
        network = engine.networks.create(name.prefix, driver="bridge", labels=labels, **options)
    if sealed:
        gate.hide_machine(engine, images.ensure(engine, "host"), network, labels)
    return network


def _put_places_out(engine: docker.DockerClient, network: Network) -> None:
    """A network goes only when nobody is in it; a hub lets its learners' places into their labs."""
    network.reload()
    for id_ in network.attrs["Containers"] or {}:
        with contextlib.suppress(NotFound):
            if PLACE_LABEL in engine.containers.get(id_).labels:
                network.disconnect(id_, force=True)


def _refuse_one_too_many(engine: docker.DockerClient, name: LabName) -> None:
    most, learner = settings.labs_each(), name.learner
    there = [each.exercise for each in all_names(engine, learner) if each != name]
    if most and len(there) >= most:
        whose = "" if learner == settings.default_learner() else f" --learner {learner}"
        raise LabError(
            f'"{learner}" has {counted(len(there), "lab")} ({", ".join(there)}), and may have '
            f"{most} at once (DOCKYARD_LABS_EACH). `dockyard down {there[0]}{whose}` ends one."
        )


def _taken_ports(engine: docker.DockerClient) -> set[int]:
    """The ports of labs that are there, whether anybody listens on them now or not."""
    networks: list[Any] = engine.api.networks(filters={"label": PORTS_LABEL})
    labels = [json.loads(each["Labels"][PORTS_LABEL]) for each in networks]
    return {port for hosts in labels for ports in hosts.values() for port in ports.values()}


def _runs(container: Container | None) -> bool:
    return container is not None and container.status == "running"


def _ensure_host(
    engine: docker.DockerClient, lab: Lab, spec: hosts.HostSpec, container: Container | None
) -> None:
    if container and container.status in ("created", "removing", "dead"):
        hosts.remove(container)  # of a start or a removal that was killed
        container = None
    if container is None:
        container = hosts.create(engine, spec)
    if not _runs(container):
        try:
            container.start()
        except APIError as error:
            if container.status == "created":
                hosts.remove(container)
            raise LabError(_why_not_started(spec, error)) from None
    _wait_until_ready(lab, spec, container)


def _why_not_started(spec: hosts.HostSpec, error: APIError) -> str:
    if is_port_taken(error):
        ports = ", ".join(map(str, spec.ports.values()))
        return (
            f'Another program uses a port of lab host "{spec.name}" (one of {ports}). '
            "End it, or remove the lab to get other ports: `dockyard down`."
        )
    return f'Lab host "{spec.name}" does not start: {error.explanation}'


def _wait_until_ready(lab: Lab, spec: hosts.HostSpec, container: Container) -> None:
    def answers() -> bool:
        container.reload()
        if not _runs(container):
            raise LabError(f'Lab host "{spec.name}" stopped while it started. {_log(container)}')
        try:
            return bool(lab.client(spec.name).ping())
        except (DockyardError, DockerException, OSError):
            return False

    try:
        wait_until(answers, READY_TIMEOUT)
    except TimeoutError:
        raise LabError(f'Lab host "{spec.name}" does not answer. {_log(container)}') from None


def _log(container: Container) -> str:
    return "The end of its log:\n" + container.logs(tail=10).decode(errors="replace").strip()


def _ensure_images(
    engine: docker.DockerClient, host: docker.DockerClient, wanted: list[Image]
) -> None:
    """Load into a host what the seed did not bring."""
    there = set(host.api.images(quiet=True, all=True))  # one question, not one for each image
    missing = [image for image in wanted if image.id not in there]
    if missing:
        seed.load(host, seed.export(engine, missing))
