"""One command in a host: through the open shell, and through its peers."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import docker
import testinfra

from bench import labs
from bench.measure import Figure, repeat
from dockyard import engine as engines
from dockyard.course import Exercise
from dockyard.lab import containers
from dockyard.shell import Shell, testinfra_host

MANY, FEW = 200, 15
COMMAND = "cat /etc/hostname"


def measure(engine: docker.DockerClient, exercise: Exercise) -> Iterator[Figure]:
    with labs.started(engine, exercise) as lab:
        host = containers(engine, lab.name)[lab.hosts[0]]
        shell = Shell(engine, str(host.id), lab.hosts[0])
        ours = testinfra_host(shell)
        ours.run(COMMAND)  # opens the shell
        with _docker_variables():
            theirs = testinfra.get_host(f"docker://{host.name}")
            backend = repeat(FEW, lambda: theirs.run(COMMAND), 1000)
        quick = repeat(MANY, lambda: ours.run(COMMAND), 1000)
        sdk = repeat(FEW, lambda: host.exec_run(COMMAND), 1000)
        shell.close()
    name = "a command in a host"
    peer = "testinfra's docker backend"
    yield Figure(name, quick, "ms", peer, backend, most=5, quicker=25)
    yield Figure(name, quick, "ms", "the SDK's exec_run", sdk, quicker=0)


@contextmanager
def _docker_variables() -> Iterator[None]:
    """Turn the `docker` command, which testinfra's backend calls, to the outer engine."""
    endpoint = engines.find()
    before = dict(os.environ)
    os.environ["DOCKER_HOST"] = endpoint.url
    if endpoint.cert_path:
        os.environ |= {"DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": endpoint.cert_path}
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
