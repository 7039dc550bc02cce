"""What a learner does to a lab from its picture: look closer, break something, bring it back."""

from collections.abc import Callable
from typing import Any

import docker
import msgspec
from docker.models.containers import Container

from dockyard.errors import LabError
from dockyard.lab import Lab, containers
from dockyard.picture.scene import plain

LOG_LINES = 100
STOP_TIMEOUT = 5  # seconds for a host to end what it runs
#: The packet filter's chain in a host that is cut off.
CHAIN = "DOCKYARD-CUT-OFF"
HOOKS = [f"INPUT -i eth0 -j {CHAIN}", f"OUTPUT -o eth0 -j {CHAIN}"]


class Action(msgspec.Struct, frozen=True):
    """A button: what it says, and the name of what it does."""

    name: str
    title: str


class Details(msgspec.Struct, frozen=True):
    """What is to be said of one host or container.

    Attributes:
        facts: name and value, for a table.
        log: the last lines.
        shell: the command that opens a shell there.
    """

    host: str
    container: str
    title: str
    facts: list[tuple[str, str]]
    log: str
    shell: str
    actions: list[Action]


class Actor:
    """Acts on one lab."""

    def __init__(self, outer: docker.DockerClient, lab: Lab) -> None:
        self._outer, self._lab = outer, lab

    def details(self, host: str, container: str = "") -> Details:
        """Of a container on a host or, without one, of the host.

        Raises:
            DockerException, OSError: there is none, or its engine does not answer.
        """
        return self._of_container(host, container) if container else self._of_host(host)

    def act(self, name: str, host: str, container: str = "") -> None:
        """Do what a button says.

        Raises:
            LabError: there is no such button.
            DockerException, OSError: there is no such thing, or its engine does not answer.
        """
        buttons: dict[str, Callable[[], object]]
        if container:
            there = self._lab.client(self._lab.known(host)).containers.get(container)
            buttons = {"kill": there.kill, "stop": there.stop, "start": there.start}
        else:
            there = self._outer_host(host)
            buttons = {
                "stop-host": lambda: there.stop(timeout=STOP_TIMEOUT),
                "start-host": there.start,
                "cut-off": lambda: _cut_off(there),
                "join-again": lambda: _join_again(there),
            }
        if name not in buttons:
            raise LabError(f'There is no button "{name}".')
        buttons[name]()

    def _of_host(self, host: str) -> Details:
        there = self._outer_host(host)
        shell = f'eval "$(dockyard env {self._lab.exercise.id} {host})"'
        if there.status != "running":
            facts = [("state", there.status)]
            return Details(host, "", host, facts, _log(there), shell, [START_HOST])
        network = next(iter(there.attrs["NetworkSettings"]["Networks"].values()))
        cut = _is_cut_off(there)
        facts = [
            ("state", "running, cut off from the other hosts" if cut else "running"),
            ("address", f"{network['IPAddress']} (between the hosts)"),
            ("memory limit", f"{there.attrs['HostConfig']['Memory'] // 2**20} MB"),
            ("started", there.attrs["State"]["StartedAt"][:19].replace("T", " ") + " UTC"),
        ]
        actions = [STOP_HOST]
        if len(self._lab.hosts) > 1:
            actions.append(JOIN_AGAIN if cut else CUT_OFF)
        return Details(host, "", host, facts, _log(there), shell, actions)

    def _of_container(self, host: str, container: str) -> Details:
        there = self._lab.client(self._lab.known(host)).containers.get(container)
        attrs: dict[str, Any] = there.attrs
        config, state = attrs["Config"], attrs["State"]
        networks = attrs["NetworkSettings"]["Networks"]
        command = [*(config.get("Entrypoint") or []), *(config.get("Cmd") or [])]
        facts = [
            ("state", there.status + ("" if there.status == "running" else _exit_code(state))),
            ("image", config["Image"].split("@")[0]),
            ("command", " ".join(command)),
            ("user", config.get("User") or "root"),
            ("restart policy", attrs["HostConfig"]["RestartPolicy"]["Name"] or "no"),
            *((f"address on {name}", each["IPAddress"]) for name, each in networks.items()),
            ("started", state["StartedAt"][:19].replace("T", " ") + " UTC"),
        ]
        shell = f'eval "$(dockyard env {self._lab.exercise.id} {host})"'
        shell += f" && docker exec --interactive --tty {there.short_id} sh"
        actions = [KILL, STOP] if there.status == "running" else [START]
        title = f"{plain(str(there.name))} on {host}"
        return Details(host, container, title, facts, _log(there), shell, actions)

    def _outer_host(self, host: str) -> Container:
        try:
            return containers(self._outer, self._lab.name)[self._lab.known(host)]
        except KeyError:
            raise LabError(self._lab.unreachable(host)) from None


KILL, STOP, START = Action("kill", "Kill"), Action("stop", "Stop"), Action("start", "Start")
STOP_HOST, START_HOST = Action("stop-host", "Stop this host"), Action("start-host", "Start it")
CUT_OFF = Action("cut-off", "Cut it off from the other hosts")
JOIN_AGAIN = Action("join-again", "Put it back on the network")


def _exit_code(state: dict[str, Any]) -> str:
    return f" ({state['ExitCode']})" if state["Status"] == "exited" else ""


def _log(container: Container) -> str:
    return bytes(container.logs(tail=LOG_LINES)).decode(errors="replace")


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


def _is_cut_off(host: Container) -> bool:
    done = host.exec_run(["sh", "-c", f"iptables -w -C {HOOKS[0]}"])
    return bool(done.exit_code == 0)
