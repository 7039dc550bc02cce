"""A lab host: one container in which a complete Docker Engine runs."""

import io
import tarfile
from base64 import b64encode
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
from docker.errors import APIError, NotFound
from docker.models.containers import Container
from docker.models.images import Image
from docker.types import LogConfig
from docker.utils import parse_bytes

from dockyard import certificates, settings
from dockyard.course import Limits
from dockyard.waiting import wait_until

API_PORT = 2376
TLS_FOLDER = "/etc/docker/tls"
CONFLICT = 409  # the engine's answer when a removal is in progress already
REMOVAL_TIMEOUT = 60  # seconds


@dataclass(frozen=True)
class HostSpec:
    """All that makes one host."""

    name: str
    container: str
    network: str
    image: Image
    seed: str | None
    limits: Limits
    labels: dict[str, str]
    #: Container port → loopback port of the machine; none in a sealed lab.
    ports: dict[int, int]
    keys: Path
    #: What the outer engine says of itself; asked once, for the question takes 20 ms.
    engine_info: dict[str, Any]
    #: In a sealed lab, whom the engine asks what its clients may do; None: they may do all.
    policy: str | None = None
    #: In a sealed lab, who answers for names that the lab does not know.
    dns: str | None = None
    #: In a sealed lab, how much its engine may store, such as "1g"; None: as much as the disk has.
    disk: str | None = None


def privileges(client: docker.DockerClient, info: dict[str, Any]) -> dict[str, Any]:
    """What an engine in a container needs beyond the default, and nothing more."""
    security = [f"seccomp={_seccomp_profile()}"]
    if any("apparmor" in option for option in info.get("SecurityOptions") or []):
        security.append("apparmor=unconfined")  # docker-default forbids every mount
    config = client.api.create_host_config(
        # SYS_ADMIN: mounts and namespaces of the inner containers.
        # NET_ADMIN: their bridges, overlays and firewall rules.
        # SYS_PTRACE: `docker exec`, and so every health check, in containers whose user is not
        # root; the runtime opens /proc/PID/ns of another user's process.
        cap_add=["SYS_ADMIN", "NET_ADMIN", "SYS_PTRACE"],
        security_opt=security,
        # FUSE (/dev/fuse, see images/host/start-engine): storage over the network in 03_volumes.
        device_cgroup_rules=["c 10:229 rwm"],
        # Version 1 would show, and give, the machine's whole cgroup tree otherwise.
        cgroupns="private",
        runtime=settings.host_runtime(),
        log_config=LogConfig(type="json-file", config={"max-size": "1m", "max-file": "2"}),
    )
    # `--security-opt systempaths=unconfined`, for which the SDK has no argument: the inner
    # engine writes to /proc/sys/net and mounts a /proc of its own for each container.
    config["MaskedPaths"] = []
    config["ReadonlyPaths"] = []
    return dict(config)


def create(client: docker.DockerClient, spec: HostSpec) -> Container:
    """Create the host's container and volume, keys inside, not started."""
    # A disk of limited size lies in memory: no other kind can be had on every machine.
    room = {"type": "tmpfs", "device": "tmpfs", "o": f"size={spec.disk}"} if spec.disk else {}
    client.volumes.create(spec.container, driver_opts=room, labels=spec.labels)
    limits = spec.limits
    binds: dict[str, Mapping[str, str]] = {
        spec.container: {"bind": "/var/lib/docker", "mode": "rw"}
    }
    if spec.seed:
        binds[spec.seed] = {"bind": "/seed", "mode": "ro"}
    published: dict[int | str, Any] = {
        port: ("127.0.0.1", local) for port, local in spec.ports.items()
    }
    memory = int(parse_bytes(limits.memory) + parse_bytes(spec.disk or 0))
    resources = client.api.create_host_config(
        mem_limit=memory,
        memswap_limit=memory,  # no swap beside it
        nano_cpus=int(min(limits.cpus, spec.engine_info["NCPU"]) * 1e9),
        pids_limit=limits.pids,
        binds=binds,
        tmpfs={"/run": "mode=755"},  # sockets and process ids of the last start must not stay
        port_bindings=published,
        network_mode=spec.network,
        dns=[spec.dns] if spec.dns else None,
    )
    aliases = client.api.create_endpoint_config(aliases=[spec.name])
    made = client.api.create_container(
        spec.image.id,
        name=spec.container,
        hostname=spec.name,
        labels={**spec.labels, "dockyard.host": spec.name},
        ports=list(spec.ports),
        volumes=["/var/lib/docker"],
        # put_archive would mount the container's file system and start a process: 40 ms each.
        environment={
            "DOCKYARD_KEYS": b64encode(_keys_archive(spec.keys)).decode(),
            "DOCKYARD_POLICY": spec.policy or "",
        },
        host_config={**privileges(client, spec.engine_info), **resources},
        networking_config={"EndpointsConfig": {spec.network: aliases}},
    )
    return client.containers.get(made["Id"])


def remove(container: Container) -> None:
    """Remove a host with everything that was stored on it. Does nothing where it is gone.

    Another process may be removing it as well: then both are done when it is gone.

    Raises:
        TimeoutError: the other one does not come to its end.
    """
    client = container.client
    assert client is not None
    try:
        container.remove(force=True, v=True)
    except NotFound:
        pass
    except APIError as error:
        if error.status_code != CONFLICT:
            raise
        wait_until(lambda: _is_gone(container), REMOVAL_TIMEOUT, f'"{container.name}" to go')
    with suppress(NotFound):
        client.volumes.get(str(container.name)).remove()


def _is_gone(container: Container) -> bool:
    try:
        container.reload()
    except NotFound:
        return True
    return False


def _seccomp_profile() -> str:
    return (settings.course_dir() / "images" / "host" / "seccomp.json").read_text()


def _keys_archive(keys: Path) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name in certificates.HOST_FILES:
            info = tarfile.TarInfo(f"tls/{name}")
            info.size = (keys / name).stat().st_size
            info.mode = 0o600
            tar.addfile(info, (keys / name).open("rb"))
    return buffer.getvalue()


def memory(host: Container) -> int:
    """Bytes that a host uses, as `docker stats` counts: without what its kernel may drop at once.

    Raises:
        DockerException: its engine does not tell.
    """
    told: Any = host.stats(stream=False, one_shot=True)
    seen = told.get("memory_stats", {})
    stats = seen.get("stats", {})
    cache = stats.get("total_inactive_file", stats.get("inactive_file", 0))  # cgroup v1, v2
    return int(seen.get("usage", 0) - cache)
