"""Images for new hosts in milliseconds: loaded once into a volume that all hosts share.

A host that is born with the seed copies the images' metadata and reaches their layers through
symbolic links (images/host/adopt-images). A lab host holds SYS_ADMIN and could remount a
read-only bind writable, so the seed is handed out as an overlay of two lower directories and
no upper one: there is nothing to write to.
"""

import hashlib
from collections.abc import Iterator
from typing import IO

import docker
from docker.errors import DockerException, NotFound
from docker.models.images import Image

from dockyard import hosts, settings
from dockyard.alone import alone
from dockyard.settings import Say, quiet

SEED_LABEL = "dockyard.seed"
CHUNK = 2**20


def ensure(
    client: docker.DockerClient, host_image: Image, images: list[Image], say: Say = quiet
) -> str | None:
    """Make sure of the seed that holds *images*; return its volume's name.

    Returns:
        None where this machine cannot do it, or a setting says so: then hosts load the images.
    """
    if not images or settings.images_by() == "load":
        return None
    ids = sorted(str(image.id) for image in [host_image, *images])
    key = hashlib.sha256(" ".join(ids).encode()).hexdigest()[:12]
    sealed = f"dockyard-{settings.site()}-seed-{key}"
    if _is_there(client, sealed):
        return sealed
    with alone(f"seed-{key}"):  # two would take each other's loader away
        if _is_there(client, sealed):
            return sealed
        say("Preparing the images for lab hosts, once")
        try:
            _fill(client, f"{sealed}-layers", host_image, images)
            _seal(client, sealed)
        except DockerException as error:
            say(f"The shared image store does not work here, so hosts load images: {error}")
            return None
    return sealed


def _is_there(client: docker.DockerClient, volume: str) -> bool:
    try:
        client.volumes.get(volume)
    except NotFound:
        return False
    return True


def export(client: docker.DockerClient, images: list[Image]) -> Iterator[bytes]:
    """The images as one `docker save` stream; layers that they share are in it once."""
    url = f"{client.api.base_url}/v{client.api.api_version}/images/get"
    tags = [tag for image in images for tag in image.tags[:1]]
    answer = client.api.get(url, params={"names": tags}, stream=True)
    answer.raise_for_status()
    yield from answer.iter_content(CHUNK)


def load(client: docker.DockerClient, data: IO[bytes] | Iterator[bytes]) -> None:
    """Load the images of a `docker save` stream."""
    # The engine loads while its progress is read, and gives up when nobody does.
    for _ in client.api.load_image(data):  # type: ignore[no-untyped-call]
        pass


def labels() -> dict[str, str]:
    return {SEED_LABEL: settings.site()}


def remove_all(client: docker.DockerClient) -> int:
    """Remove every seed of this installation; returns how many volumes went."""
    volumes = client.volumes.list(filters={"label": f"{SEED_LABEL}={settings.site()}"})
    # Sealed volumes first: they stand on the others.
    for volume in sorted(volumes, key=lambda each: not each.attrs.get("Options")):
        volume.remove()
    return len(volumes)


def _fill(client: docker.DockerClient, name: str, host_image: Image, images: list[Image]) -> None:
    """Load the images into the volume *name* with an engine that is gone afterwards.

    Raises:
        DockerException: this machine cannot do it.
    """
    for container in client.containers.list(all=True, filters={"volume": name}):
        container.remove(force=True)  # of an attempt that was killed
    client.volumes.create(name, labels=labels())
    config = hosts.privileges(client, client.info())
    config["Binds"] = [f"{name}:/var/lib/docker"]
    config["NetworkMode"] = "none"
    made = client.api.create_container(
        host_image.id, entrypoint=["adopt-images", "load"], labels=labels(), host_config=config
    )
    loader = client.containers.get(made["Id"])
    try:
        # `docker save` writes a tar, so the engine can unpack it right into the container.
        client.api.put_archive(made["Id"], "/srv", export(client, images))
        loader.start()
        status = loader.wait()["StatusCode"]
        if status:
            end = loader.logs(tail=3).decode(errors="replace").strip()
            raise DockerException(f"filling it ended with {status}: {end}")
    finally:
        loader.remove(force=True)


def _seal(client: docker.DockerClient, sealed: str) -> None:
    """Hand the filled volume out as an overlay that cannot be made writable."""
    empty = client.volumes.create(f"{sealed}-empty", labels=labels())
    lower = client.volumes.get(f"{sealed}-layers")
    paths = f"{lower.attrs['Mountpoint']}:{empty.attrs['Mountpoint']}"
    options = {"type": "overlay", "device": "overlay", "o": f"lowerdir={paths}"}
    client.volumes.create(sealed, driver="local", driver_opts=options, labels=labels())
