"""The collector of logs on the lab's first host, and the records that it has stored."""

import json
import re
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from secrets import token_hex
from typing import Any, ClassVar, NamedTuple

from docker.errors import APIError
from docker.models.containers import Container
from docker.models.services import Service

from container_logs import visit
from containers import Containers
from networks import published
from swarm import Swarm
from voting_app import VotingApp

PORT = 24224
FOLDER = "/fluentd/log"
VOTED = "by {}"  # of a voter; the end of vote's line
FRESH = 15  # seconds in which a line reaches the store of a collector that is there
ARRIVE = 25  # seconds in which it also does after the collector's return: drivers try again
RESTART = 10  # seconds for a container to start anew, also on a busy machine
COME = 20  # seconds in which a service's only task comes and goes
TIME = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:\.\d+)?(?: ?(Z|UTC|[+-]\d\d:?\d\d))?")
UTC_SIGNS = {"Z", "UTC", "+0000", "+00:00"}
#: What has not been written to its place yet waits in such a file.
BUFFERS = re.compile(r"\.[bq][0-9a-f]{32}\.|\.meta$")


class Record(NamedTuple):
    """One stored line: what stands before its JSON object, and the object."""

    file: str
    prefix: str
    fields: dict[str, Any]

    @property
    def when(self) -> str:
        """Its time, as it is written; beside the log line itself, which may hold any time."""
        others = (str(value) for key, value in self.fields.items() if key != "log")
        matches = (TIME.search(text) for text in (self.prefix, *others))
        return next((match[0] for match in matches if match), "none")

    @property
    def is_utc(self) -> bool:
        """Whether its time says that it is UTC, and is what UTC's clock shows about now."""
        match = TIME.search(self.when)
        if not match or match[3] not in UTC_SIGNS:
            return False
        written = datetime.fromisoformat(f"{match[1]}T{match[2]}+00:00")
        return abs(datetime.now(UTC) - written) < timedelta(minutes=10)


class Outage(NamedTuple):
    """What was seen while the collector was away (an empty *stuck*: all went on), and after it."""

    stuck: str
    lost: list[str]


class LogStore:
    """The container or service that publishes port 24224, and what it keeps in /fluentd/log."""

    _outages: ClassVar[list[Outage]] = []

    def __init__(
        self, containers: Containers, swarm: Swarm, wait_until: Callable[..., Any]
    ) -> None:
        self._containers, self._swarm, self._wait_until = containers, swarm, wait_until

    @property
    def service(self) -> Service | None:
        """The service with replicas that publishes the port."""
        for service in self._swarm.services:
            if "Replicated" not in service.attrs["Spec"]["Mode"]:
                continue
            ports = service.attrs["Spec"].get("EndpointSpec", {}).get("Ports", [])
            if any(port.get("PublishedPort") == PORT for port in ports):
                return service
        return None

    @property
    def container(self) -> Container | None:
        """The container that collects on the first host."""
        service = self.service
        for each in self._containers.there():
            of = each.labels.get("com.docker.swarm.service.id")
            if (service and of == service.id) or PORT in published(each):
                return each
        return None

    @property
    def flavour(self) -> str:
        """Which Fluentd collects; an image of ours says so, upstream's says nothing."""
        said = self.container and self._containers.read(self.container, "/etc/fluentd-flavour")
        return said.decode().strip() if said else "Fluentd"

    def records(self) -> Iterator[Record]:
        """Every stored record, buffers left out."""
        for name, line in self._lines():
            start = line.find("{")
            with suppress(ValueError):
                fields = json.loads(line[start:]) if start >= 0 else None
                if isinstance(fields, dict):
                    yield Record(name, line[:start], fields)

    def vote(self, app: VotingApp) -> Record | None:
        """Cast a vote; the record of what vote, not worker, says of it."""
        return self.fresh(app.cast, VOTED)

    def fresh(self, write: Callable[[str], object], line: str = "{}") -> Record | None:
        """Have a *line* with a new word in it written, by *write*; its record."""
        # Where nothing is acknowledged, a driver loses the first line after the collector was
        # away, for us perhaps: so the second one counts.
        write(token_hex(8))
        word = token_hex(8)
        return self.record_of(line.format(word), FRESH) if write(word) else None

    def record_of(self, text: str, patience: int = ARRIVE) -> Record | None:
        """Wait for the record of a line that holds *text*."""

        def found() -> Record | None:
            return next((r for r in self.records() if text in str(r.fields.get("log"))), None)

        with suppress(TimeoutError):
            return self._wait_until(found, patience)
        return None

    def describe(self) -> str:
        """What there is in place of a record that is missed."""
        if self.container is None:
            return f"no container of node1 publishes port {PORT}"
        waits = sum(bool(BUFFERS.search(name)) and "meta" not in name for name in self._files())
        count = sum(1 for _ in self.records())
        return f"{count} other records stored by {self.flavour}" + (
            f", and {waits} files in its buffer" if waits else ""
        )

    @contextmanager
    def away(self) -> Iterator[None]:
        """The collector is stopped; afterwards it runs again."""
        service, container = self.service, self.container
        if service is not None:
            wanted = service.attrs["Spec"]["Mode"]["Replicated"]["Replicas"]
            self._scale(service, 0)
        elif container is not None:
            container.stop(timeout=3)
        try:
            yield
        finally:
            if service is not None:
                self._scale(service, wanted)
            elif container is not None:
                container.start()

    def outage(self, app: VotingApp, part: Container) -> Outage:
        """Take the collector away; vote, write much, start a part anew; let it return; look.

        Once in a check, which is a process of its own: a second time would tell nothing new.
        """
        if self._outages:
            return self._outages[0]
        votes = {number: token_hex(8) for number in ("first", "second", "third")}
        with ThreadPoolExecutor() as background, self.away():
            # In the background, for an engine that waits for the collector gives no answer.
            restart = background.submit(part.restart, timeout=1)
            wait([restart], RESTART)
            stuck = _failure(restart, str(part.name))
            taken = all(app.cast(voter) for voter in votes.values())
            stuck = stuck or ("" if taken else "a vote is not taken") or _writes_much(app)
        if stuck:
            part.start()  # what we broke, we mend
        self.record_of(VOTED.format(votes["third"]))  # lines keep their order: it comes last
        lost = [n for n, voter in votes.items() if not self.record_of(VOTED.format(voter), 2)]
        self._outages.append(Outage(stuck, lost))
        return self._outages[0]

    def _scale(self, service: Service, replicas: int) -> None:
        service.reload()
        service.scale(replicas)
        with suppress(TimeoutError):
            self._wait_until(lambda: bool(self.container) == bool(replicas), COME)

    def _lines(self) -> Iterator[tuple[str, str]]:
        for name, content in self._files().items():
            if not BUFFERS.search(name):
                yield from ((name, line) for line in content.decode(errors="replace").splitlines())

    def _files(self) -> dict[str, bytes]:
        container = self.container
        return self._containers.files(container, FOLDER) if container else {}


def _writes_much(app: VotingApp) -> str:
    """Make vote write two megabytes, more than waits between it and a driver that waits, too."""
    url = app.lab.url(app.lab.hosts[0], app.VOTE)
    for _ in range(130):
        if not visit(url, **{"User-Agent": "x" * 8000, "Referer": "x" * 8000}):
            return "vote answers no more after it has written some lines"
    return ""


def _failure(restart: "Future[None]", name: str) -> str:
    """What went wrong when a container was started anew, or nothing."""
    if not restart.done():
        return f"{name} does not start: the engine waits for the collector"
    error = restart.exception()
    if isinstance(error, APIError):
        return f"{name} does not start: {str(error.explanation)[:120]}"
    restart.result()
    return ""
