"""The networks of the lab's hosts: who is on them, and what gets through."""

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Any

from docker.models.containers import Container
from docker.models.networks import Network
from testinfra.host import Host

from containers import Containers

#: Hosts that have just joined a swarm may need 30 s to tell each other names (moby/moby#47396).
GOSSIP = 45
CROSS = 6  # seconds in which packets get from one host to the other
UP = 5  # seconds for a server whose container has just started

PAGE, PING = "GET / HTTP/1.0\r\n\r\n", "PING\r\nQUIT\r\n"
VOTE = (
    "POST / HTTP/1.0\r\nContent-Type: application/x-www-form-urlencoded\r\n"
    "Content-Length: 6\r\n\r\nvote=a"
)
ARRIVES = "the vote arrives"


@dataclass(frozen=True)
class Overlay:
    """A network of the swarm, with the learner's containers that are on it."""

    network: Network
    members: dict[str, list[Container]]

    def __str__(self) -> str:
        there = (
            f"{host}: {', '.join(each.name for each in members) or 'none'}"
            for host, members in self.members.items()
        )
        return f"{self.network.name} ({'; '.join(there)})"


class Networks:
    """Networks, seen from the containers on them; *host* is the lab's first one unless said."""

    def __init__(
        self,
        lab: Any,
        containers: Containers,
        on_host: Callable[[str], Host],
        wait_until: Callable[..., Any],
    ) -> None:
        self.lab = lab
        self.containers = containers
        self._on_host = on_host
        self._wait_until = wait_until

    @property
    def bridges(self) -> dict[str, list[str]]:
        """The first host's bridge networks, and their subnets."""
        found = self.lab.client(self.lab.hosts[0]).networks.list(filters={"driver": "bridge"})
        return {
            each.name: [part["Subnet"] for part in each.attrs["IPAM"]["Config"] or []]
            for each in found
        }

    def on(self, subnet: str) -> list[Container]:
        """The containers that have an address in *subnet*."""
        return [each for each in self.containers.there() if within(subnet, addresses(each))]

    def knows(self, asker: Container, container: Container) -> bool:
        """Whether *asker* can resolve one of the names of *container*, to an address of its own."""
        found = {
            at for name in names_of(container) for at in self.containers.addresses(asker, name)
        }
        return bool(found & set(addresses(container)))

    def ways(
        self, askers: list[Container], target: Container, port: int, question: str
    ) -> list[str]:
        """The addresses and ports by which *askers* reach the server of *target* on *port*.

        An open port is not enough: a proxy on the way out may open every connection. It has to be
        the answer that the server itself gives.
        """
        own = self.containers.ask("127.0.0.1", port, question, target)
        inside = self.containers.interfaces(target)
        doors = {(at, port) for name, some in inside.items() if name != "lo" for at in some}

        def answers(asker: Container, at: str, door: int) -> bool:
            return self.containers.connects(asker, at, door) and (
                first_line(self.containers.ask(at, door, question, asker)) == first_line(own)
            )

        return sorted(
            f"{at}:{door}"
            for each in askers
            for at, door in doors
            | {(way, door) for way in gateways(each) for door in published(target)}
            if answers(each, at, door)
        )

    def answers(
        self, address: str, port: int, page: Container | None = None, host: str | None = None
    ) -> bool:
        """Whether a web page answers, from inside a container's network or from a host."""
        with suppress(TimeoutError):  # its container may have started just now
            return bool(
                self._wait_until(lambda: self.containers.ask(address, port, PAGE, page, host), UP)
            )
        return False

    def carry_a_vote(self, page: Container, redis: Container, host: str | None = None) -> str:
        """What becomes of a vote that is cast on the page of a container on *host*."""
        if not self.answers("127.0.0.1", 80, page, host):
            return "the page does not answer"
        before = self.redis_says(redis, "LLEN votes")
        answer = first_line(self.containers.ask("127.0.0.1", 80, VOTE, page, host))
        arrived = self.redis_says(redis, "LLEN votes") != before
        return ARRIVES if arrived else f"the vote does not arrive ({answer})"

    def redis_says(self, redis: Container, command: str) -> str:
        return self.containers.ask("127.0.0.1", 6379, f"{command}\r\nQUIT\r\n", redis)

    def overlays(self) -> list[Overlay]:
        """The swarm's networks that the first host knows, without the routing mesh's own."""
        found = self.lab.client(self.lab.hosts[0]).networks.list(filters={"driver": "overlay"})
        there = {host: self.containers.there(host) for host in self.lab.hosts}
        return [
            Overlay(
                network,
                {host: [c for c in all_ if address_on(network, c)] for host, all_ in there.items()},
            )
            for network in found
            if not network.attrs["Ingress"]
        ]

    def wait_for_names(self, asker: Container, host: str, other: Container) -> None:
        """Wait until the hosts have told each other about *other*: its id is a name, too."""
        with suppress(TimeoutError):
            self._wait_until(
                lambda: self.containers.addresses(asker, str(other.id)[:12], host), GOSSIP
            )

    def packets_over_vxlan(self, overlay: Overlay, sender: str, receiver: str, count: int) -> int:
        """How many packets *receiver* unpacked while a container of *sender* sent it *count*."""
        asker, target = overlay.members[sender][0], overlay.members[receiver][0]
        self.wait_for_names(asker, sender, target)
        before = self._received(overlay.network, receiver)

        def arrived() -> int:
            # A closed port is as good as an open one: the question has to cross.
            self.containers.connects(asker, address_on(overlay.network, target), 9, sender)
            return self._received(overlay.network, receiver) - before

        with suppress(TimeoutError):
            self._wait_until(lambda: arrived() >= count, CROSS)
        return self._received(overlay.network, receiver) - before

    def _received(self, network: Network, host: str) -> int:
        """Packets that a host has unpacked for an overlay so far."""
        # libnetwork keeps a namespace for each overlay: a number, a dash, the network's id.
        namespace = f"$(ls -d /run/docker/netns/*-{str(network.id)[:9]}* | head -n 1)"
        line = f"nsenter --net={namespace} ip -json -stats link show type vxlan"
        links = json.loads(self._on_host(host).run(line).stdout or "[]")
        return sum(int(each["stats64"]["rx"]["packets"]) for each in links)


def ends(container: Container) -> list[dict[str, Any]]:
    """A container's ends on its networks (endpoints), as the engine made them."""
    return list(container.attrs["NetworkSettings"]["Networks"].values())


def addresses(container: Container) -> list[str]:
    return [end["IPAddress"] for end in ends(container) if end["IPAddress"]]


def gateways(container: Container) -> list[str]:
    """Its networks' ways out, which are addresses of its host."""
    return [end["Gateway"] for end in ends(container) if end["Gateway"]]


def address_on(network: Network, container: Container) -> str:
    """A container's address on one network; empty where it is not on it."""
    on_it = (end["IPAddress"] for end in ends(container) if end["NetworkID"] == network.id)
    return str(next(on_it, ""))


def names_of(container: Container) -> set[str]:
    """The names by which others on its networks may know a container."""
    return {str(container.name)}.union(*(end["Aliases"] or [] for end in ends(container)))


def published(container: Container) -> list[int]:
    """The ports of its host that lead to a container."""
    ports = container.attrs["NetworkSettings"]["Ports"] or {}
    return sorted({int(at["HostPort"]) for each in ports.values() for at in each or []})


def within(subnet: str, some: list[str]) -> bool:
    """Whether one of *some* addresses is in *subnet*."""
    return any(ip_address(each) in ip_network(subnet) for each in some)


def first_line(text: str) -> str:
    return text.partition("\r\n")[0]
