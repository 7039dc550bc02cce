"""The gate of a sealed lab: its only way in; nothing leads out.

A sealed lab's network has no gateway and no way to names outside. Its hosts publish nothing:
connections to their ports come through the gate, a container of ours that stands on this
network and on an ordinary one. Hosts ask it what a submission may do (images/gate/policy.py).
"""

from typing import Any

import docker
import msgspec
from docker.errors import APIError, NotFound
from docker.models.containers import Container
from docker.models.images import Image
from docker.models.networks import Network

from dockyard import certificates, images
from dockyard.errors import LabError
from dockyard.lab import Lab

IMAGE, MEMORY = "gate", "128m"
#: What makes a network a sealed lab's: nothing leads out, and the machine has no address on it.
NETWORK: dict[str, Any] = {
    "internal": True,
    "options": {"com.docker.network.bridge.inhibit_ipv4": "true"},
}
#: Where hosts ask what a submission may do. With TLS: a container that has got at a host's
#: network could pose as the gate otherwise, and allow itself all.
POLICY = f"https://{certificates.GATE}:8070"

HAPROXY = """
global
  maxconn 1000
defaults
  mode tcp
  timeout connect 5s
  timeout client 1h
  timeout server 1h
resolvers docker
  nameserver docker 127.0.0.11:53
  timeout resolve 100ms
  timeout retry 100ms
"""


def hide_machine(
    engine: docker.DockerClient, host_image: Image, network: Network, labels: dict[str, str]
) -> None:
    """Take from a sealed lab's network the last address that the machine has on it."""
    bridge = f"br-{str(network.id)[:12]}"
    # Docker knows no such option for the address that each interface gives itself in IPv6.
    script = f"ip link set {bridge} addrgenmode none && ip -6 addr flush dev {bridge}"
    engine.containers.run(
        host_image, ["-c", script], entrypoint="sh", remove=True, network_mode="host",
        cap_add=["NET_ADMIN"], labels=labels,
    )  # fmt: skip


def ensure(engine: docker.DockerClient, lab: Lab, network: Network) -> None:
    """Make sure that the lab's gate stands open.

    Raises:
        LabError: it does not start.
    """
    name = f"{lab.name.prefix}-gate"
    try:
        container = engine.containers.get(name)
    except NotFound:
        container = _create(engine, lab, name)
        network.connect(container, aliases=[certificates.GATE])
    try:
        container.start()
    except APIError as error:
        raise LabError(f"The lab's gate does not start: {error.explanation}") from None


def name_server(engine: docker.DockerClient, lab: Lab) -> str:
    """The gate's address on the lab's network, where it says of each name that there is none.

    Without a name server of a container's own, Docker's resolver would ask the machine's, and
    names can carry secrets out (CVE-2024-29018). Where nobody answers, a swarm waits for 20 s
    before each task.
    """
    networks = engine.containers.get(f"{lab.name.prefix}-gate").attrs["NetworkSettings"]["Networks"]
    return str(networks[lab.name.prefix]["IPAddress"])


def _create(engine: docker.DockerClient, lab: Lab, name: str) -> Container:
    ways = [(local, host, port) for host in lab.hosts for port, local in lab.ports[host].items()]
    config = HAPROXY + "".join(
        f"listen {host}-{port}\n  bind :{local}\n"
        f"  server {host} {host}:{port} resolvers docker init-addr none\n"
        for local, host, port in ways
    )
    made = engine.api.create_container(
        images.ensure(engine, IMAGE).id,
        name=name,
        labels=lab.name.labels(),
        ports=[local for local, _, _ in ways],
        environment={
            "DOCKYARD_HAPROXY": config,
            "DOCKYARD_KEYS": "".join(
                (lab.name.keys / name).read_text() for name in certificates.GATE_FILES
            ),
            "DOCKYARD_ALLOW": msgspec.json.encode(lab.exercise.lab.allow).decode(),
        },
        host_config=engine.api.create_host_config(
            port_bindings={local: ("127.0.0.1", local) for local, _, _ in ways},
            # Hosts could take it for a router, and so reach whatever it reaches.
            sysctls={"net.ipv4.ip_forward": "0", "net.ipv4.ip_unprivileged_port_start": "53"},
            cap_drop=["ALL"],
            security_opt=["no-new-privileges"],
            read_only=True,
            tmpfs={"/gate": "size=1m,mode=1777"},
            mem_limit=MEMORY,
            pids_limit=256,
        ),
    )
    return engine.containers.get(made["Id"])
