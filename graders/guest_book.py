"""The guest book of 00_images: a page, and redis as its store."""

import re
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import requests
from docker.models.containers import Container

from containers import Containers
from networks import published

PORT = 8080
ANSWER = 10  # seconds for containers that have just started to count again
SHELLS = {"ash", "bash", "busybox", "dash", "sh", "zsh"}
INITS = {"catatonit", "docker-init", "dumb-init", "tini", "tini-static"}


class GuestBook:
    """The guest book, as its visitors and its host see it."""

    def __init__(self, lab: Any, containers: Containers, wait_until: Callable[..., Any]) -> None:
        self.lab = lab
        self._containers = containers
        self._wait_until = wait_until

    @property
    def page(self) -> Container | None:
        """The container that publishes the page's port."""
        return next((each for each in self._containers.there() if PORT in published(each)), None)

    def store_beside(self, page: Container) -> Container | None:
        """The container, other than the page's, in which redis runs."""
        others = (each for each in self._containers.there() if each.id != page.id)
        return next((each for each in others if "redis" in self.programs(each)), None)

    def programs(self, container: Container) -> list[str]:
        """The programs that a container runs, each once, without shells and inits."""
        found = {each.program for each in self._containers.processes(container)}
        found -= {""}  # it has ended in this moment
        return sorted({plain(each) for each in found - SHELLS - INITS})

    def visit(self) -> int | None:
        """The number that the page gives to its visitor; None where it gives none."""
        try:
            text = requests.get(self.lab.url(self.lab.hosts[0], PORT), timeout=3).text
        except requests.RequestException:
            return None
        number = re.search(r"visitor (\d+)", text)
        return int(number[1]) if number else None

    def first_visit(self) -> int | None:
        """As visit, but with patience: the page may have just started."""
        with suppress(TimeoutError):
            return self._wait_until(self.visit, ANSWER)
        return None


def networks(container: Container) -> list[str]:
    """The names of a container's networks."""
    return sorted(container.attrs["NetworkSettings"]["Networks"])


def is_linked(container: Container) -> bool:
    """Whether it was run with --link, on whichever network."""
    ends = container.attrs["NetworkSettings"]["Networks"].values()
    return bool(container.attrs["HostConfig"]["Links"] or any(each["Links"] for each in ends))


def plain(program: str) -> str:
    """The word "python" of "python3.13", "redis" of "redis-check-rdb", which redis-server is."""
    return program if program in INITS else program.partition("-")[0].rstrip(".0123456789")
