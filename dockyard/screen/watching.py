"""Follows what happens in a lab: the event streams of its engines, and of the outer one.

Nothing is asked while nothing happens. When something does, it is recorded, the engines that it
concerns are asked what they run now, and whoever listens gets the new scene.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Event, Lock, Thread
from time import time

import docker
from docker.errors import DockerException

from dockyard import timeline
from dockyard.errors import DockyardError
from dockyard.keeper import CHANGES, Happened, Keeper
from dockyard.lab import HOST_LABEL, PROBE_LABEL, Lab, side_by_side
from dockyard.picture.looking import View, ask, compose
from dockyard.picture.scene import Scene
from dockyard.report import Report

#: Seconds between two looks, and until a stream that has ended is tried again.
PAUSE, AGAIN = 0.05, 1.0
#: Seconds until the next look after a change, one after the other. Some events come a moment
#: before the state that they tell of (`pause`, in moby's containerPause), and a swarm's manager
#: hears of its workers' tasks later.
LATER = [0.05, 1.0]


@dataclass
class Listener:
    """Whom a watcher tells. Called from threads, one call at a time.

    Attributes:
        show: gets each new scene.
        happened: called for what may change a verdict, with or without a new scene.
        judged: gets what a check has found, whoever asked for it.
    """

    show: Callable[[Scene], None] = lambda _: None
    happened: Callable[[], None] = lambda: None
    judged: Callable[[Report], None] = lambda _: None


@dataclass
class _Changes:
    """Which hosts are to be asked anew."""

    hosts: set[str] = field(default_factory=set)
    lock: Lock = field(default_factory=Lock)
    some: Event = field(default_factory=Event)

    def add(self, *hosts: str) -> None:
        with self.lock:
            self.hosts.update(hosts)
        self.some.set()

    def take(self) -> set[str]:
        with self.lock:
            self.some.clear()
            taken, self.hosts = self.hosts, set()
        return taken


class Watcher:
    """Watches one lab, for all who listen, from its start until it is stopped.

    Args:
        keeper: who keeps the lab's hosts knows when one is killed.
    """

    def __init__(self, keeper: Keeper, lab: Lab) -> None:
        self._keeper, self._lab = keeper, lab
        self._listeners: list[Listener] = []
        self._changes = _Changes()
        self._stopped = Event()
        self._starting, self._started = Lock(), False
        self._timeline = timeline.path_of(lab.name)
        self.scene: Scene | None = None

    def start(self) -> None:
        """Begin, unless it has begun."""
        with self._starting:
            if self._started:
                return
            self._started = True
        # What has happened since somebody last followed this lab is told first.
        last = {each.host: each.at for each in timeline.read(self._timeline)}
        for work in [self._look, self._follow_hosts]:
            Thread(target=work, daemon=True).start()
        for host in self._lab.hosts:
            Thread(target=self._follow, args=[host, last.get(host, 0)], daemon=True).start()

    def add(self, listener: Listener) -> None:
        """Tell one more, beginning with what is known."""
        self._listeners.append(listener)
        if self.scene:
            listener.show(self.scene)
        self.touch()

    def judged(self, report: Report) -> None:
        """Tell all who listen what a check has found."""
        for each in self._listeners:
            each.judged(report)

    def touch(self, *hosts: str) -> None:
        """Ask these hosts anew, or all."""
        self._changes.add(*(hosts or self._lab.hosts))

    def stop(self) -> None:
        self._stopped.set()
        self._changes.some.set()

    def _follow(self, host: str, since: float) -> None:
        """A host may be stopped, and come back; what happened in between is seen by looking.

        Args:
            since: when it was last followed, in seconds since 1970.
        """
        while not self._stopped.is_set():
            probes = set[str]()
            for event in _until_it_ends(_events(self._lab.client(host), since)):
                if not _is_of_a_probe(event, probes):
                    self._record(timeline.from_event(event, host))
                    self._heard(host)
            since = time()
            self._stopped.wait(AGAIN)

    def _follow_hosts(self) -> None:
        while not self._stopped.is_set():
            for event in _until_it_ends(self._keeper.events(self._lab)):
                host = event.get("Actor", {}).get("Attributes", {}).get(HOST_LABEL)
                if host in self._lab.hosts:
                    self._record(timeline.from_outer_event(event))
                    self._heard(host)
            self._stopped.wait(AGAIN)

    def _record(self, moment: timeline.Moment | None) -> None:
        if moment:
            with suppress(OSError):  # a full disk; what happens can be seen all the same
                timeline.record(self._timeline, [moment])

    def _heard(self, host: str) -> None:
        self.touch(host)
        for each in self._listeners:
            each.happened()

    def _look(self) -> None:
        views: dict[str, View | None] = dict.fromkeys(self._lab.hosts)
        again: list[float] = []
        while not self._stopped.is_set():
            changed = self._changes.some.wait(again[0] if again else None)
            if not self._listeners:
                self._changes.take()
                continue
            again = LATER if changed else again[1:]
            hosts = self._changes.take() if changed else {*self._lab.hosts}
            hosts |= {host for host, view in views.items() if view and view.role == "manager"}
            asked = side_by_side(lambda host: (host, ask(self._lab, host)), hosts)
            views |= dict(asked)
            scene = compose(views)
            if scene != self.scene:
                self.scene = scene
                for each in self._listeners:
                    each.show(scene)
            self._stopped.wait(PAUSE)


def _events(client: docker.DockerClient, since: float) -> Iterator[Happened]:
    """What a host's engine says has happened; an empty one as soon as it is listened to.

    Args:
        since: also what it remembers from then on, in seconds since 1970.
    """
    stream = client.events(since=int(since), decode=True, filters={"event": CHANGES})
    yield {}
    yield from stream


def _until_it_ends(events: Iterator[Happened]) -> Iterator[Happened]:
    """What happens, until nobody tells any more; and then an empty one."""
    with suppress(DockyardError, DockerException, OSError, ValueError):
        yield from events
        yield {}


def _is_of_a_probe(event: Happened, probes: set[str]) -> bool:
    """Whether a grader's own container made it; *probes* remembers their ids."""
    actor = event.get("Actor", {})
    attributes = actor.get("Attributes", {})
    if PROBE_LABEL in attributes:
        probes.add(actor["ID"])
        return True
    # Networks and volumes tell who comes and goes, not what it is.
    return attributes.get("container") in probes
