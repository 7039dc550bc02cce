"""How an exercise's images get into a host: the seed, `docker load`, a registry."""

import io
import json
import tarfile
import tempfile
from collections.abc import Iterator

import docker
from docker.models.containers import Container
from docker.models.images import Image
from msgspec.structs import replace

from bench import labs
from bench.measure import Figure, Series, Stopwatch
from dockyard import hosts, images, seed, settings
from dockyard.course import Exercise
from dockyard.errors import LabError
from dockyard.lab import HOST_LABEL, Lab, LabName, containers
from dockyard.waiting import wait_until

QUICK, SLOW = 9, 3
REGISTRY = "registry:5000"
ADOPT = 'a=$EPOCHREALTIME; adopt-images; echo "$a $EPOCHREALTIME"'  # bash: no process for a clock


def measure(engine: docker.DockerClient, exercise: Exercise) -> Iterator[Figure]:
    wanted = [images.ensure(engine, each) for each in exercise.lab.images]
    adopted = Series([_adopt(engine, exercise, wanted) for _ in range(QUICK)])
    watch = Stopwatch()
    # Without images there is no seed, so everything is really loaded.
    bare = replace(exercise, lab=replace(exercise.lab, hosts=exercise.lab.hosts[:1], images=[]))
    with labs.started(engine, bare) as lab, tempfile.TemporaryFile() as tar:
        for chunk in seed.export(engine, wanted):
            tar.write(chunk)
        _start_registry(engine, lab)
        for _ in range(SLOW):
            _load(lab.client(lab.hosts[0]), tar, watch)
            _push_and_pull(lab.client(lab.hosts[0]), wanted, watch)
            lab.client(lab.hosts[0]).images.prune(filters={"dangling": False})
    size = images.total_size(engine, exercise.lab.images) / 1e6
    name = f"an exercise's images ({len(wanted)}, {size:.0f} MB) in a host"
    yield Figure(name, adopted, "s", "docker load", watch.series("load"), quicker=100)
    beside = "pulled from a registry on the lab's network"
    yield Figure(name, adopted, "s", beside, watch.series("pull"), quicker=0)


def _adopt(engine: docker.DockerClient, exercise: Exercise, wanted: list[Image]) -> float:
    """What the seed adds to a host's start, on a volume as new as that of a new host."""
    host_image = images.ensure(engine, "host")
    shared = seed.ensure(engine, host_image, wanted)
    if shared is None:
        raise LabError("There is no seed on this machine, so there is nothing to compare.")
    name = LabName(exercise.id, f"{labs.LEARNER}-seed")
    config = hosts.privileges(engine, engine.info())
    config["Binds"] = [f"{shared}:/seed:ro"]
    made = engine.api.create_container(
        host_image.id,
        entrypoint=["bash", "-c", ADOPT],
        volumes=["/var/lib/docker"],
        labels={**name.labels(), HOST_LABEL: "seed"},
        host_config=config,
    )
    container = engine.containers.get(made["Id"])
    try:
        container.start()
        container.wait()
        began, ended = container.logs().split()
        return float(ended) - float(began)
    finally:
        container.remove(v=True, force=True)


def _load(host: docker.DockerClient, tar: io.BufferedRandom, watch: Stopwatch) -> None:
    tar.seek(0)
    with watch.time("load"):
        host.images.load(tar)


def _push_and_pull(host: docker.DockerClient, wanted: list[Image], watch: Stopwatch) -> None:
    names = {f"{REGISTRY}/{image.tags[0].split(':')[0]}": image.tags[0] for image in wanted}
    for name, tag in names.items():
        host.images.get(tag).tag(name, "1")
        if "errorDetail" in (answer := host.images.push(name, "1")):
            raise LabError(f'The registry does not take "{tag}": {answer[-300:]}')
    host.images.prune(filters={"dangling": False})
    with watch.time("pull"):
        for name in names:
            host.images.pull(name, "1")


def _start_registry(engine: docker.DockerClient, lab: Lab) -> None:
    """Start a registry on the lab's network, which the lab's host is told to trust unsecured."""
    built = images.ensure(engine, "registry")
    labels = {**lab.name.labels(), HOST_LABEL: "registry"}  # so it goes when the lab goes
    registry = engine.containers.create(built, labels=labels)
    network = engine.networks.list(filters=lab.name.filters())[0]
    network.connect(registry, aliases=["registry"])
    registry.start()
    wait_until(lambda: b"listening on" in registry.logs(), 30, "the registry to listen")
    _trust(containers(engine, lab.name)[lab.hosts[0]])


def _trust(host: Container) -> None:
    plain = settings.course_dir() / "images" / "host" / "daemon.json"
    changed = {**json.loads(plain.read_text()), "insecure-registries": [REGISTRY]}
    blob = json.dumps(changed).encode()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        info = tarfile.TarInfo("daemon.json")
        info.size = len(blob)
        tar.addfile(info, io.BytesIO(blob))
    host.put_archive("/etc/docker", buffer.getvalue())
    host.kill("HUP")  # the engine reads its list of registries anew
    wait_until(lambda: b"Reloaded configuration" in host.logs(), 10, "the host to trust it")
