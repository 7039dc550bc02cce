"""Looks from inside a learner's networks, with tools of ours."""

from collections.abc import Callable
from typing import Any

from docker.errors import APIError, NotFound
from docker.models.containers import Container
from testinfra.host import Host

PROBE_IMAGE = "dockyard/debian:1"
START = 20  # seconds for a container of ours to start and end


class Probe:
    """Looks from inside the learner's networks."""

    LOOK_UP = "for name; do getent ahosts $name >/dev/null && echo $name; done; true"

    def __init__(self, lab: Any, on_host: Callable[[str], Host]) -> None:
        self.lab = lab
        self._on_host = on_host

    def names_resolved(self, host: str, network: str, names: list[str]) -> set[str]:
        """Which of *names* a container on *host* can resolve in *network*."""
        there = self._inside(host, network)
        if there is None:
            return self._resolved_by_newcomer(host, network, names)
        # Our own `getent` in the network namespace of a container that is there: its DNS
        # answers at once, while a container of ours would take a second to join the overlay.
        line = f"nsenter --net=/proc/{there}/ns/net sh -c '{self.LOOK_UP}' probe {' '.join(names)}"
        return set(self._on_host(host).run(line).stdout.split())

    def _inside(self, host: str, network: str) -> int | None:
        """The process of some container on *host* that is in *network*."""
        api = self.lab.client(host).api
        try:
            joined = api.inspect_network(network).get("Containers") or {}
            ids = [each for each in joined if not each.startswith("lb-")]  # swarm's balancer
            return int(api.inspect_container(ids[0])["State"]["Pid"]) if ids else None
        except NotFound:
            return None  # a worker knows an overlay only while a task there uses it

    def _resolved_by_newcomer(self, host: str, network: str, names: list[str]) -> set[str]:
        client = self.lab.client(host)
        container: Container | None = None
        try:
            container = client.containers.create(
                PROBE_IMAGE,
                ["sh", "-c", self.LOOK_UP, "probe", *names],
                network=network,
                labels={"dockyard.probe": "1"},
                mem_limit="64m",
                pids_limit=32,
            )
            container.start()
            container.wait(timeout=START)
            return set(container.logs().decode().split())
        except APIError:
            return set()  # the network cannot be joined from here
        finally:
            if container is not None:
                container.remove(force=True)
