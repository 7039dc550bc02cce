"""What a learner does to a lab from its picture: break something, and bring it back."""

from collections.abc import Callable

import docker
import msgspec
from docker.models.containers import Container

from dockyard.errors import LabError
from dockyard.lab import Lab, containers

STOP_TIMEOUT = 5  # seconds for a host to end what it runs
#: The packet filter's chain in a host that is cut off.
CHAIN = "DOCKYARD-CUT-OFF"
HOOKS = [f"INPUT -i eth0 -j {CHAIN}", f"OUTPUT -o eth0 -j {CHAIN}"]


class Thing(msgspec.Struct, frozen=True):
    """What somebody clicked: a host, a container (by its id) on it, or a service."""

    host: str = ""
    container: str = ""
    service: str = ""


class Action(msgspec.Struct, frozen=True):
    """A button: what it says, and the name of what it does."""

    name: str
    title: str


KILL, STOP, START = Action("kill", "Kill"), Action("stop", "Stop"), Action("start", "Start")
STOP_HOST, START_HOST = Action("stop-host", "Stop this host"), Action("start-host", "Start it")
CUT_OFF = Action("cut-off", "Cut it off from the other hosts")
JOIN_AGAIN = Action("join-again", "Put it back on the network")


def act(outer: docker.DockerClient, lab: Lab, name: str, thing: Thing) -> None:
    """Do what a button says.

    Raises:
        LabError: there is no such button.
        DockerException, OSError: there is no such thing, or its engine does not answer.
    """
    buttons: dict[str, Callable[[], object]] = {}
    if thing.container:
        there = container_of(lab, thing)
        buttons = {"kill": there.kill, "stop": there.stop, "start": there.start}
    elif thing.host:
        there = host_of(outer, lab, thing)
        buttons = {
            "stop-host": lambda: there.stop(timeout=STOP_TIMEOUT),
            "start-host": there.start,
            "cut-off": lambda: _cut_off(there),
            "join-again": lambda: _join_again(there),
        }
    if name not in buttons:
        raise LabError(f'There is no button "{name}".')
    buttons[name]()


def container_of(lab: Lab, thing: Thing) -> Container:
    return lab.client(lab.known(thing.host)).containers.get(thing.container)


def host_of(outer: docker.DockerClient, lab: Lab, thing: Thing) -> Container:
    """A host as the outer engine knows it."""
    try:
        return containers(outer, lab.name)[lab.known(thing.host)]
    except KeyError:
        raise LabError(lab.unreachable(thing.host)) from None


def _cut_off(host: Container) -> None:
    """Packets from and to the other hosts are dropped; the gateway, our way in, stays."""
    network = next(iter(host.attrs["NetworkSettings"]["Networks"].values()))
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


def is_cut_off(host: Container) -> bool:
    done = host.exec_run(["sh", "-c", f"iptables -w -C {HOOKS[0]}"])
    return bool(done.exit_code == 0)
