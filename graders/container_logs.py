"""What a container's logging driver does with its lines: where they go, and what room they take."""

import re
from collections.abc import Callable
from contextlib import suppress
from secrets import token_hex
from typing import Any, NamedTuple

import requests
from docker.models.containers import Container
from testinfra.host import Host

from containers import Containers

TURN = 20  # seconds in which a log file of 100 kB is full
UP = 10  # seconds for a page whose container has just started
SENT = 10  # seconds in which a line reaches a syslog server
SYSLOG = "/var/log/remote/all.log"
UNITS = {"": 1, "b": 1, "k": 1024, "m": 1024**2, "g": 1024**3}


class Turned(NamedTuple):
    """What a log's files did while they were watched."""

    new_file: bool
    sizes: list[int]

    def __str__(self) -> str:
        count = f"{len(self.sizes)} file{'s' * (len(self.sizes) != 1)}"
        return f"{count} with {sum(self.sizes)} bytes, {'a' if self.new_file else 'no'} new one"


class ContainerLogs:
    """The logs of the containers on the lab's first host."""

    def __init__(
        self,
        lab: Any,
        containers: Containers,
        on_host: Callable[[str], Host],
        wait_until: Callable[..., Any],
    ) -> None:
        self._lab, self._containers, self._wait_until = lab, containers, wait_until
        self._host = on_host(lab.hosts[0])

    def driver(self, *roles: str) -> str:
        """The logging driver of the container that plays one of the parts."""
        there = next(filter(None, map(self._containers.playing, roles)), None)
        return _config(there)["Type"] if there else "no container"

    def describe(self, container: Container | None) -> str:
        if container is None:
            return "no container"
        options = _config(container).get("Config") or {}
        listed = ", ".join(f"{name}={value}" for name, value in sorted(options.items()))
        return f"{_config(container)['Type']}, {listed or 'no options'}"

    def bound(self, container: Container) -> int | None:
        """Bytes that its JSON files can take at most; None: there is no limit, or no such file."""
        options = _config(container).get("Config") or {}
        size = re.fullmatch(r"(\d+)([bkmg]?)b?", options.get("max-size", "").lower())
        if _config(container)["Type"] != "json-file" or not size:
            return None
        return int(size[1]) * UNITS[size[2]] * int(options.get("max-file", "1"))

    def turned(self, container: Container) -> Turned:
        """Wait until a new file takes the place of the one that is written to."""
        current = container.attrs["LogPath"]
        first = self._files(current).get(current)

        def turned() -> bool:
            now = self._files(current)
            return current in now and now[current][0] != (first or [""])[0]

        try:
            new = self._wait_until(turned, TURN)
        except TimeoutError:
            new = False
        return Turned(new, [size for _, size in self._files(current).values()])

    def _files(self, path: str) -> dict[str, tuple[str, int]]:
        """Name → inode and size, of a log's files."""
        listed = self._host.run(f"stat --format '%n %i %s' {path}*").stdout.splitlines()
        rows = (line.rsplit(" ", 2) for line in listed)
        return {name: (inode, int(size)) for name, inode, size in rows}

    def syslog_line(self, role: str, port: int) -> tuple[str, str]:
        """Visit a page; its line in the syslog server's file, or an empty one, and the reason."""
        server, marker = self._containers.playing("rsyslog"), token_hex(8)
        if server is None:
            return "", "no syslog server runs on node1"
        url = self._lab.url(self._lab.hosts[0], port) + f"/?{marker}"
        try:
            self._wait_until(lambda: visit(url), UP)
        except TimeoutError:
            return "", f"{role} does not answer on port {port} of node1"

        def line() -> str | None:
            kept = (self._containers.read(server, SYSLOG) or b"").decode(errors="replace")
            return next((each for each in kept.splitlines() if marker in each), None)

        with suppress(TimeoutError):
            return self._wait_until(line, SENT), ""
        return "", f"not found; the driver of {role}: {self.driver(role)}"


def visit(url: str, **headers: str) -> bool:
    """Whether a page answers."""
    with suppress(requests.RequestException):
        return requests.get(url, headers=headers, timeout=3).status_code < 500
    return False


def _config(container: Container) -> dict[str, Any]:
    return dict(container.attrs["HostConfig"]["LogConfig"])
