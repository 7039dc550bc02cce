"""The load balancer before the Voting App, as a visitor and its operator meet it."""

import csv
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import requests
from testinfra.host import Host

from swarm import Swarm, Task
from voting_app import Visits, VotingApp

DOOR = "node1"  # the host on which the balancer answers
STATISTICS = 8404
PATIENCE = 5  # seconds for which a visitor waits for a page
NOTICE = 5  # seconds in which the balancer sees that an instance is not ready, or is again
MOVE = 20  # seconds in which one that hangs is left out, or a new one is let in
ROUND = 12  # visits in a row in which each of three or four instances has its turn


class Balancer:
    """What stands at port 5000 of node1, and the instances of vote behind it."""

    def __init__(
        self,
        lab: Any,
        swarm: Swarm,
        app: VotingApp,
        on_host: Callable[[str], Host],
        wait_until: Callable[..., Any],
    ) -> None:
        self.lab = lab
        self._swarm = swarm
        self._app = app
        self._on_host = on_host
        self._wait_until = wait_until

    @property
    def instances(self) -> dict[str, Task]:
        """The running tasks of vote, by the hostname with which each signs its pages."""
        service = self._swarm.service("vote")
        tasks = self._swarm.running(service) if service else []
        return {self._container(each).attrs["Config"]["Hostname"]: each for each in tasks}

    @contextmanager
    def visitor(self) -> Iterator[Visits]:
        """Somebody who asks for the page all the time, and knows no other address."""
        with self._app.visitor([DOOR], PATIENCE) as visits:
            yield visits

    def reaches(self, instances: list[str], visits: Visits) -> bool:
        """Whether each of these instances gets requests of the visitor."""

        def all_seen() -> bool:
            return set(instances) <= set(visits.answers)

        with suppress(TimeoutError):
            self._wait_until(lambda: all_seen() or visits.answered > 3 * ROUND, NOTICE)
        return all_seen()

    def leaves(self, instance: str, visits: Visits, seconds: float = NOTICE) -> bool:
        """Whether an instance stops getting the visitor's requests before one is lost."""

        def left() -> bool:
            return visits.answered >= ROUND and instance not in visits.answers[-ROUND:]

        with suppress(TimeoutError):
            self._wait_until(lambda: visits.lost or left(), seconds)
        return left()

    def enters(self, instance: str, visits: Visits, seconds: float = NOTICE) -> bool:
        """Whether an instance gets requests of the visitor, from now on."""
        seen = visits.answered
        with suppress(TimeoutError):
            self._wait_until(lambda: instance in visits.answers[seen:], seconds)
        return instance in visits.answers[seen:]

    @contextmanager
    def unready(self, task: Task) -> Iterator[None]:
        """An instance that says on /readyz that it is not ready, and still answers."""
        switch = f"/proc/{self._container(task).attrs['State']['Pid']}/root/tmp/unready"
        self._on_host(task.node).run(f"touch {switch}")
        try:
            yield
        finally:
            self._on_host(task.node).run(f"rm -f {switch}")

    @contextmanager
    def hanging(self, task: Task) -> Iterator[None]:
        """An instance that takes requests, and does not answer them."""
        container = self._container(task)
        container.pause()
        try:
            yield
        finally:
            container.unpause()

    def statistics(self) -> list[dict[str, str]]:
        """HAProxy's statistics, one row for each server that it knows; none where it shows none."""
        try:
            url = f"{self.lab.url(DOOR, STATISTICS)}/stats;csv"
            lines = requests.get(url, timeout=2).text.removeprefix("# ").splitlines()
        except requests.RequestException:
            return []
        servers = [row for row in csv.DictReader(lines) if row.get("type") == "2"]
        # Room that is left in a server-template has no address yet.
        return [row for row in servers if not row["status"].startswith("MAINT")]

    def _container(self, task: Task) -> Any:
        return self.lab.client(task.node).containers.get(task.container)
