"""Criteria of 04_security: a weak stack is hardened, and works on."""

import json

import pytest

from database import Database
from registry import Registry
from voting_app import PARTS

PUBLIC = {5000, 5001}
SOCKETS = ["/run/docker.sock/", "/var/run/docker.sock/", "/run/containerd/containerd.sock/"]
NETWORK_FILES = {"/etc/hosts", "/etc/hostname", "/etc/resolv.conf"}  # read-only with the rest
LEAKED = "snowwhite-1937"  # the password in the colleague's files
PROCESSES, MEGABYTES = 100, 256  # what a container may have at most
BOMB = 2 * PROCESSES

criterion = pytest.mark.criterion


@pytest.fixture
def db(containers):
    return Database(containers)


@criterion(task="close-the-doors", points=1, probe=True, look="docker ps --all; docker logs NAME")
def test_app_works(containers, db, app, expect):
    """The Voting App runs on node1 and counts a vote"""
    parts = {**{part: containers.playing(part) for part in PARTS}, "db": db.container}
    missing = [part for part, container in parts.items() if container is None]
    expect(not missing, "its five parts run", f"not running: {listed(missing)}")
    counted = app.counts_a_vote()
    expect(counted, "a vote is counted", "counted" if counted else "not counted in 20 s")


@criterion(
    task="close-the-doors", points=2, probe=True, look="docker ps, PORTS", needs=["app_works"]
)
def test_only_pages_are_public(containers, on_host, expect):
    """node2 reaches ports 5000 and 5001 of node1 only; on node1 itself, 127.0.0.1:5432 answers"""
    bound = [each for one in containers.there() for each in one.ports.values() if each]
    ports = {int(binding["HostPort"]) for bindings in bound for binding in bindings}
    public = [port for port in ports - PUBLIC if knocks(on_host("node2"), "node1", port)]
    local = "open" if knocks(on_host("node1"), "127.0.0.1", 5432) else "closed"
    found = f"open to node2 besides: {listed(public)}; 127.0.0.1:5432 is {local}"
    expect(not public and local == "open", "no other port; 127.0.0.1:5432 is open", found)


@criterion(
    task="close-the-doors", points=1, look="docker inspect NAME, Mounts", needs=["app_works"]
)
def test_no_engine_socket(containers, expect):
    """No container holds the engine's socket"""
    holders = {
        f"{each.name} ({mount['Source']})"
        for each in containers.there()
        for mount in each.attrs["Mounts"]
        if any(path.startswith(mount.get("Source", "-").rstrip("/") + "/") for path in SOCKETS)
    }
    expect(not holders, "none", listed(holders))


@criterion(task="least-privilege", points=2, look="docker top NAME", needs=["app_works"])
def test_nobody_is_root(containers, expect):
    """No container's process runs as root"""
    users = {each.name: containers.processes(each) for each in containers.there()}
    root = [name for name, there in users.items() if any(process.uid == 0 for process in there)]
    expect(not root, "none", f"as root: {listed(root)}")


@criterion(
    task="least-privilege",
    points=2,
    look="docker inspect NAME, CapDrop, SecurityOpt",
    needs=["app_works"],
)
def test_no_privileges(containers, confinement, expect):
    """The kernel grants no container a capability, nor new privileges"""
    said = {each.name: confinement.status(each) for each in containers.there()}
    capable = [name for name, status in said.items() if int(status.get("CapBnd", "0"), 16)]
    rising = [name for name, status in said.items() if status.get("NoNewPrivs") != "1"]
    found = f"capabilities: {listed(capable)}; new privileges: {listed(rising)}"
    expect(not capable and not rising, "capabilities: none; new privileges: none", found)


@criterion(
    task="keep-the-secret",
    points=2,
    probe=True,
    look="docker logs db; docker inspect NAME, Env",
    needs=["app_works"],
)
def test_password_is_new(db, expect):
    """The password in the database's file opens it, and the colleague's does not"""
    expect(
        len(db.secret) >= 12,
        "12 characters in a file",
        f"{len(db.secret)} in the file of POSTGRES_PASSWORD_FILE",
    )
    takes = db.accepted(LEAKED, db.secret)
    met = db.secret in takes and LEAKED not in takes
    found = f'with "{LEAKED}": {yes(LEAKED in takes)}, with that file: {yes(db.secret in takes)}'
    expect(met, f'opens with "{LEAKED}": no, with that file: yes', f"opens {found}")


@criterion(
    task="keep-the-secret",
    points=2,
    look="docker inspect; docker history IMAGE",
    needs=["password_is_new"],
)
def test_password_is_nowhere_else(db, containers, images, expect):
    """That password is in no container's settings, and in no image's settings, history or layers"""
    written = json.dumps(db.secret)[1:-1]
    found = set()
    for each in containers.there():
        image = images.of(each)
        if written in json.dumps(each.attrs):
            found.add(f"settings of {each.name}")
        if image and written in json.dumps([image.attrs, image.history()]):
            found.add(f"settings or history of {each.name}'s image")
        if image and images.holding(image, db.secret):
            found.add(f"a layer of {each.name}'s image")
    expect(not found, "nowhere", listed(found))


@criterion(
    task="write-nowhere",
    points=3,
    look="docker diff NAME; docker inspect NAME, Mounts; docker logs of what ends at once",
    needs=["app_works"],
)
def test_nothing_can_be_written(db, containers, confinement, expect):
    """No container can write to its own files or to a volume, except the database to its data"""
    can = [
        f"{each.name} ({point})"
        for each in containers.there()
        for point in confinement.writable(each) - NETWORK_FILES
        if (each.name, point) != (db.container.name, db.setting("PGDATA"))
    ]
    expect(not can, "none can", f"these can: {listed(can)}")


@criterion(
    task="set-limits", points=2, disturbs=True, look="docker stats, PIDS", needs=["app_works"]
)
def test_fork_bomb_is_contained(containers, confinement, app, expect):
    """Each container may have 100 processes at most; a fork bomb in vote hurts nobody else"""
    limits = {each: each.attrs["HostConfig"]["PidsLimit"] or 0 for each in containers.there()}
    loose = [each.name for each, limit in limits.items() if not 0 < limit <= PROCESSES]
    expect(not loose, "a limit for each", f"no limit up to {PROCESSES}: {listed(loose)}")
    with confinement.fork_bomb(containers.playing("vote"), BOMB) as started:
        answers = app.scores() is not None
    found = f"{started} of {BOMB} processes started; the result page answers: {yes(answers)}"
    expect(started < PROCESSES and answers, "fewer than all; the result page answers: yes", found)


@criterion(
    task="set-limits",
    points=2,
    disturbs=True,
    look="docker stats, MEM USAGE / LIMIT",
    needs=["app_works"],
)
def test_memory_hog_is_contained(containers, confinement, app, expect):
    """Each container may have 256 MB at most; a memory hog in vote is killed, and nothing else"""
    limits = {each: each.attrs["HostConfig"]["Memory"] >> 20 for each in containers.there()}
    loose = [each.name for each, limit in limits.items() if not 0 < limit <= MEGABYTES]
    expect(not loose, "a limit for each", f"no limit up to {MEGABYTES} MB: {listed(loose)}")
    vote = containers.playing("vote")
    before = containers.pid(vote)
    # Where the machine has swap, a limit of memory alone allows as much of that again.
    killed = confinement.memory_hog(vote, 2 * MEGABYTES + 64)
    works = containers.pid(vote) == before and app.counts_a_vote()
    found = f"the hog is killed: {yes(killed)}; the app works on: {yes(works)}"
    expect(killed and works, "the hog is killed: yes; the app works on: yes", found)


@criterion(
    task="trust-the-image",
    points=3,
    probe=True,
    look="docker login node2:5000, with a wrong password; docker info",
)
def test_registry_is_locked(containers, lab, expect):
    """node2's registry proves by TLS who it is, node1 believes it, and strangers stay out"""
    registry, node1 = Registry(containers, "node2"), lab.client("node1")
    blindly = registry.trusted_blindly(node1)
    expect(not blindly, "no insecure registry", f"insecure: {listed(blindly)}")
    said = registry.answer_to_stranger(node1)
    refused = "https://" in said and ("401" in said or "unauthorized" in said.lower())
    expect(refused, "401 Unauthorized for a stranger, over https", said)


@criterion(
    task="trust-the-image",
    points=2,
    look="docker ps --no-trunc, IMAGE",
    needs=["app_works", "registry_is_locked"],
)
def test_worker_is_pinned(containers, expect):
    """worker runs an image of node2's registry, named by its digest"""
    registry = Registry(containers, "node2")
    worker = containers.playing("worker")
    image = worker.attrs["Config"]["Image"] if worker else "no worker"
    name, _, digest = image.partition("@sha256:")
    pinned = name.startswith(registry.address) and digest
    expect(pinned, f"{registry.address}/NAME@sha256:…", image)
    there = registry.holds(digest)
    expect(there, "an image that the registry has", f"{image}; the registry has it: {yes(there)}")


def knocks(host, address, port):
    return host.run(f"timeout 1 bash -c '</dev/tcp/{address}/{port}'").rc == 0


def listed(names):
    return ", ".join(sorted(map(str, names))) or "none"


def yes(met):
    return "yes" if met else "no"
