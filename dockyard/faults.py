"""What befalls a lab's host as a whole: it is stopped, started, cut off from the others."""

from collections.abc import Callable

import docker
import msgspec
from docker.models.containers import Container

from dockyard.errors import LabError
from dockyard.lab import Lab, containers

STOP_TIMEOUT = 5  # seconds for a host to end what it runs
LOG_LINES = 100
#: The packet filter's chain in a host that is cut off.
CHAIN = "DOCKYARD-CUT-OFF"
HOOKS = [f"INPUT -i eth0 -j {CHAIN}", f"OUTPUT -o eth0 -j {CHAIN}"]


class HostState(msgspec.Struct, frozen=True):
    """A host as the outer engine knows it.

    Attributes:
        status: the engine's word, such as "running".
        cut_off: whether it reaches no other host.
        address: between the hosts.
        memory: its limit, in bytes.
        started: as the engine tells it.
        log: the last lines.
    """

    status: str
    cut_off: bool
    address: str
    memory: int
    started: str
    log: str


def look(outer: docker.DockerClient, lab: Lab, host: str) -> HostState:
    """What the outer engine says of a host.

    Raises:
        UnknownName, LabError: there is no such host, or it is gone.
    """
    there = _host(outer, lab, host)
    network = _network(there)
    return HostState(
        status=there.status,
        cut_off=there.status == "running" and _is_cut_off(there),
        address=network["IPAddress"],
        memory=there.attrs["HostConfig"]["Memory"],
        started=there.attrs["State"]["StartedAt"],
        log=bytes(there.logs(tail=LOG_LINES)).decode(errors="replace"),
    )


def cause(outer: docker.DockerClient, lab: Lab, fault: str, host: str) -> None:
    """Do to a host what a button says.

    Raises:
        UnknownName, LabError: there is no such host or button.
        DockerException, OSError: its engine does not answer.
    """
    there = _host(outer, lab, host)
    faults: dict[str, Callable[[], object]] = {
        "stop-host": lambda: there.stop(timeout=STOP_TIMEOUT),
        "start-host": there.start,
        "cut-off": lambda: _cut_off(there),
        "join-again": lambda: _join_again(there),
    }
    if fault not in faults:
        raise LabError(f'There is no button "{fault}".')
    faults[fault]()


def _host(outer: docker.DockerClient, lab: Lab, host: str) -> Container:
    try:
        return containers(outer, lab.name)[lab.known(host)]
    except KeyError:
        raise LabError(lab.unreachable(host)) from None


def _network(host: Container) -> dict[str, str]:
    return dict(next(iter(host.attrs["NetworkSettings"]["Networks"].values())))


def _cut_off(host: Container) -> None:
    """Packets from and to the other hosts are dropped; the gateway, our way in, stays."""
    network = _network(host)
    gateway, others = network["Gateway"], f"{network['IPAddress']}/{network['IPPrefixLen']}"
    _join_again(host)
    rules = [
        f"-N {CHAIN}",
        f"-A {CHAIN} -s {gateway} -j RETURN",
        f"-A {CHAIN} -d {gateway} -j RETURN",
        f"-A {CHAIN} -s {others} -d {others} -j DROP",
        *(f"-I {hook}" for hook in HOOKS),
    ]
    done = host.exec_run(["sh", "-c", " && ".join(f"iptables -w {rule}" for rule in rules)])
    if done.exit_code:
        assert isinstance(done.output, bytes)
        raise LabError(f"The host cannot be cut off: {done.output.decode().strip()}")


def _join_again(host: Container) -> None:
    rules = [*(f"-D {hook}" for hook in HOOKS), f"-F {CHAIN}", f"-X {CHAIN}"]
    host.exec_run(["sh", "-c", "; ".join(f"iptables -w {rule}" for rule in rules)])


def _is_cut_off(host: Container) -> bool:
    done = host.exec_run(["sh", "-c", f"iptables -w -C {HOOKS[0]}"])
    return bool(done.exit_code == 0)
