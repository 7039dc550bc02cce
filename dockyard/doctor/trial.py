"""A lab host on trial: started as every lab's hosts are, looked at from inside, removed."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import docker
from docker.errors import DockerException, ImageNotFound
from msgspec.structs import replace

from dockyard import images, lifecycle, settings
from dockyard.alone import alone
from dockyard.course import Exercise, exercise_ids, load_exercise
from dockyard.doctor.finding import Finding
from dockyard.lab import Lab, LabName, containers
from dockyard.recipes import recipe
from dockyard.settings import Say
from dockyard.shell import Shell

LEARNER = "doctor"
VXLAN = "ip link add dockyard0 type vxlan id 1 dstport 4790 && ip link delete dockyard0"


@dataclass(frozen=True)
class Trial:
    """A host that runs.

    Attributes:
        client: the engine on it.
        said: what was said while it came up.
    """

    lab: Lab
    client: docker.DockerClient
    shell: Shell
    said: list[str]


def findings(client: docker.DockerClient, say: Say) -> list[Finding]:
    """Start a host and look from inside it.

    Raises:
        DockyardError, DockerException, OSError: it does not start; nothing of it is left.
    """
    exercise = load_exercise(exercise_ids()[0])
    if not all(_is_made(client, name) for name in ["host", *exercise.lab.images]):
        found, means = "not tried, its images are not made yet", "every lesson stands on it"
        return [Finding("lab host", "remark", found, means, "dockyard images")]
    say("Trying a lab host")
    with _host(client, exercise) as trial:
        points = [lab_host, image_seed, inner_container, swarm, vxlan, routing_mesh, fuse]
        return [point(trial) for point in points]


def lab_host(trial: Trial) -> Finding:
    found = f"starts, and the engine in it ({trial.client.version()['Version']}) answers"
    return Finding("lab host", "ok", found, "every lesson stands on it")


def inner_container(trial: Trial) -> Finding:
    name = "container in it"
    image = trial.lab.exercise.lab.images[0]
    try:
        trial.client.containers.run(
            recipe(image).tag, entrypoint="true", mem_limit="64m", pids_limit=32, remove=True
        )
    except DockerException as error:
        reason = " ".join(str(error).split())[:300]
        mend = "see `dockyard doctor` on cgroups and access control, then docs/hosts.md"
        return Finding(name, "broken", f"does not run: {reason}", "no lesson can be taken", mend)
    return Finding(name, "ok", "runs, with limits", "every lesson starts some")


def image_seed(trial: Trial) -> Finding:
    """Whether the host's layers are links into the shared overlay volume."""
    name = "image seed"
    if trial.shell.run("readlink /var/lib/docker/overlay2/*/diff").status == 0:
        return Finding(name, "ok", "shared with the host", "labs of all lessons start in seconds")
    found = "switched off by DOCKYARD_IMAGES_BY"
    mend = "unset DOCKYARD_IMAGES_BY"
    if settings.images_by() != "load":
        found = " ".join(trial.said[-1:]) or "not taken over by the host"
        mend = "an engine with overlay2 on ext4 or xfs"
    means = "hosts load images instead: some 20 s and 0.5 GB more for each, in every lesson"
    return Finding(name, "remark", found, means, mend)


def swarm(trial: Trial) -> Finding:
    try:
        trial.client.swarm.init(advertise_addr="eth0")
        trial.client.swarm.leave(force=True)
    except DockerException as error:
        reason = " ".join(str(error).split())[:300]
        means = "01_networking, 02_clustering, 06_logging and 08_production cannot be taken"
        mend = "see the engine's own log: docker logs, while `dockyard up 02_clustering` runs"
        return Finding("swarm", "broken", f"does not form: {reason}", means, mend)
    return Finding("swarm", "ok", "forms, and is left again", "02_clustering stands on it")


def vxlan(trial: Trial) -> Finding:
    tried = trial.shell.run(VXLAN)
    if tried.status == 0:
        return Finding("vxlan", "ok", "works", "overlays span hosts, as 02_clustering needs")
    means = "overlay networks do not span hosts: 01_networking, 02_clustering cannot be taken"
    found = f"refused: {tried.stderr.decode(errors='replace').strip()}"
    return Finding("vxlan", "broken", found, means, "sudo modprobe vxlan")


def routing_mesh(trial: Trial) -> Finding:
    name = "routing mesh"
    if trial.lab.has_routing_mesh:
        return Finding(name, "ok", "the kernel has IPVS", "02_clustering uses it")
    means = "02_clustering publishes on each host and finds by DNS instead, and says so"
    mend = "sudo modprobe ip_vs, where the kernel has it; nothing needs it"
    return Finding(name, "remark", "the kernel has no IPVS", means, mend)


def fuse(trial: Trial) -> Finding:
    if trial.shell.run(": <> /dev/fuse").status == 0:
        means = "03_volumes keeps a volume on another host over it"
        return Finding("fuse", "ok", "can be opened in a lab host", means)
    means = "a volume on another host cannot be had: the last part of 03_volumes"
    return Finding("fuse", "broken", "cannot be opened in a lab host", means, "sudo modprobe fuse")


def _is_made(client: docker.DockerClient, name: str) -> bool:
    """Whether the image is there as its recipe stands; making it is not the doctor's work."""
    if settings.replaced_image(name):
        return images.is_there(client, name)
    wanted = recipe(name)
    try:
        return client.images.get(wanted.tag).labels.get(images.RECIPE_LABEL) == wanted.hash
    except ImageNotFound:
        return False


@contextmanager
def _host(client: docker.DockerClient, exercise: Exercise) -> Iterator[Trial]:
    """One host of an exercise's lab; gone afterwards, also after Ctrl-C."""
    one = replace(exercise, lab=replace(exercise.lab, hosts=exercise.lab.hosts[:1]))
    name = LabName(exercise.id, LEARNER)
    said: list[str] = []
    with alone("doctor"):  # two would take each other's host away
        try:
            lab = lifecycle.up(client, one, LEARNER, said.append)
            host = lab.hosts[0]
            shell = Shell(client, str(containers(client, name)[host].id), host)
            yield Trial(lab, lab.client(host), shell, said)
        finally:
            lifecycle.down(client, name)
