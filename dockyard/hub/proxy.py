"""The hub's proxy, in a container: the one door for browsers, with TLS for a room."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import docker

from dockyard import files, images, pinned
from dockyard.hub import places

IMAGE = "proxy"


class Door(NamedTuple):
    """Where learners come in.

    Attributes:
        address: of this machine, on the room's network; none for this machine alone.
        port: to knock at.
    """

    address: str
    port: int

    @property
    def url(self) -> str:
        scheme = "https" if self.address else "http"
        return f"{scheme}://{self.address or '127.0.0.1'}:{self.port}/"

    @property
    def pem(self) -> Path:
        """The key that it shows to a room; the same one each time, so that browsers ask once."""
        return places.state() / "door" / f"{self.address}.pem"


def start(engine: docker.DockerClient, door: Door, variables: Mapping[str, str]) -> None:
    """Start it; the hub tells it who is where.

    Args:
        variables: of the hub's processes.
    """
    api_port, hub_port, _ = variables[places.PORTS].split()
    hub = f"http://{variables[places.INSIDE]}:{hub_port}/hub"
    command = [f"--ip={door.address or '127.0.0.1'}", f"--port={door.port}"]
    # Where the hub speaks to it; and who knows the pages that say what is amiss.
    command += ["--api-ip=127.0.0.1", f"--api-port={api_port}", f"--error-target={hub}/error"]
    binds = {}
    if door.address:
        _ensure_key(door)
        binds[str(door.pem.parent)] = {"bind": "/door", "mode": "ro"}
        command += [f"--ssl-{part}=/door/{door.pem.name}" for part in ("key", "cert")]
    engine.containers.run(
        images.ensure(engine, IMAGE),
        command,
        name=places.proxy_name(),
        labels=places.labels(),
        environment={"CONFIGPROXY_AUTH_TOKEN": variables[places.TOKEN]},
        network_mode="host",  # the hub, loopback and every place's network are in its reach there
        volumes=binds,
        user="0:0",  # without capabilities: the owner of the key, and of nothing else
        cap_drop=["ALL"],
        cap_add=["NET_BIND_SERVICE"],
        security_opt=["no-new-privileges"],
        read_only=True,
        mem_limit="256m",
        pids_limit=64,
        restart_policy={"Name": "on-failure"},
        detach=True,
    )


def _ensure_key(door: Door) -> None:
    if not door.pem.is_file():
        door.pem.parent.mkdir(mode=0o700, exist_ok=True)
        files.write(door.pem, pinned.certificate(door.address), mode=0o600)
