"""What a hub makes on the engine: each learner's place, its network and home, and the kit.

Labels are the record here too: `dockyard.hub` names the installation, `dockyard.place` the learner.
"""

import os
import tempfile
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

import docker
from docker.errors import APIError, NotFound

from dockyard import engine as engines
from dockyard import files, images, release, settings
from dockyard.errors import LabError
from dockyard.lab import PLACE_LABEL, Lab, containers, slug

HUB_LABEL = "dockyard.hub"
IMAGE = "learner"
#: Variables of the hub's processes: the kit's volume; the machine's address at which places reach
#: them; ports of proxy (for the hub), hub and desk; by what the proxy knows the hub.
KIT, INSIDE = "DOCKYARD_HUB_KIT", "DOCKYARD_HUB_INSIDE"
PORTS, TOKEN = "DOCKYARD_HUB_PORTS", "DOCKYARD_HUB_TOKEN"


def state() -> Path:
    """The hub's own files: passwords, keys, its log."""
    return settings.state_dir() / "hub"


def _prefix() -> str:
    return f"dockyard-{settings.site()}"


def container_name(learner: str) -> str:
    return f"{_prefix()}-place-{slug(learner)}"


def home_name(learner: str) -> str:
    return f"{_prefix()}-home-{slug(learner)}"


def proxy_name() -> str:
    return f"{_prefix()}-proxy"


def network_name(learner: str) -> str:
    # Of a container's networks, the first by name is its way out: before those of labs, whose
    # names go on with an exercise's number.
    return f"{_prefix()}--place-{slug(learner)}"


def labels(learner: str = "") -> dict[str, str]:
    of_place = {PLACE_LABEL: learner} if learner else {}
    return {HUB_LABEL: settings.site(), **of_place}


def ensure_kit(engine: docker.DockerClient) -> str:
    """The volume with the learners' kit as it is now; older ones go, unless a place uses them."""
    with tempfile.TemporaryDirectory() as folder:
        release.release(Path(folder))
        (Path(folder) / release.MANIFEST).unlink()
        archive = files.pack(files.below(Path(folder)))
    name = f"{_prefix()}-kit-{sha256(archive).hexdigest()[:12]}"
    kits = engine.volumes.list(filters=_ours())
    if name not in [each.name for each in kits]:
        _fill(engine, name, archive)
    for old in kits:
        if str(old.name).startswith(f"{_prefix()}-kit-") and old.name != name:
            with suppress(APIError):
                old.remove()
    return name


def _fill(engine: docker.DockerClient, name: str, archive: bytes) -> None:
    image = images.ensure(engine, IMAGE)
    engine.volumes.create(name, labels=labels())
    binds = engine.api.create_host_config(binds={name: {"bind": "/kit", "mode": "rw"}})
    made = engine.api.create_container(image.id, labels=labels(), host_config=binds)
    filler = engine.containers.get(made["Id"])
    try:
        filler.put_archive("/kit", archive)
    except BaseException:
        filler.remove()
        engine.volumes.get(name).remove()  # a half-filled one must not be taken for the kit
        raise
    filler.remove()


def prepare(learner: str) -> tuple[str, str, str]:
    """Make sure of what a learner's place takes.

    Returns:
        Its network, its home and the kit.
    """
    engine = engines.connect()
    network, home = network_name(learner), home_name(learner)
    if not engine.networks.list(names=[f"^{network}$"], filters=_ours()):
        engine.networks.create(network, driver="bridge", labels=labels(learner))
    engine.volumes.create(home, labels=labels(learner))  # as it is, where it is there
    return network, home, os.environ[KIT]


def let_in(engine: docker.DockerClient, lab: Lab) -> dict[str, str]:
    """Let a learner's place into the network of a lab of theirs.

    Returns:
        Host → the name under which the place finds it.

    Raises:
        LabError: the learner has no place now, or the lab has gone meanwhile.
    """
    try:
        place = engine.containers.get(container_name(lab.name.learner))
    except NotFound:
        raise LabError(f'"{lab.name.learner}" has no place in this hub now.') from None
    try:
        engine.networks.get(lab.name.prefix).connect(place)
    except NotFound:
        raise LabError(lab.unreachable(lab.hosts[0])) from None
    except APIError as error:
        if "already exists in network" not in str(error.explanation):
            raise
    return {host: str(each.name) for host, each in containers(engine, lab.name).items()}


def remove_all(engine: docker.DockerClient) -> int:
    """Remove what runs of a hub that has ended, however it did, and its networks; homes stay.

    Returns:
        How many places there were.
    """
    there = engine.containers.list(all=True, filters=_ours(), ignore_removed=True)
    for container in there:
        with suppress(NotFound):
            container.remove(force=True)
    for network in engine.networks.list(filters=_ours()):
        with suppress(NotFound):
            network.remove()
    return sum(PLACE_LABEL in container.labels for container in there)


def forget(engine: docker.DockerClient) -> tuple[int, int]:
    """Remove all that a hub has made.

    Returns:
        How many places and volumes (homes, kits) went.
    """
    places = remove_all(engine)
    volumes = engine.volumes.list(filters=_ours())
    for volume in volumes:
        volume.remove()
    return places, len(volumes)


def homes(engine: docker.DockerClient) -> list[str]:
    """Whose files are kept on this engine."""
    volumes = engine.volumes.list(filters=_ours())
    labels = [volume.attrs.get("Labels") or {} for volume in volumes]
    return sorted(each[PLACE_LABEL] for each in labels if PLACE_LABEL in each)


def _ours() -> dict[str, Any]:
    return {"label": f"{HUB_LABEL}={settings.site()}"}
