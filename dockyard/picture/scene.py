"""What a lab's hosts run and how it hangs together, as plain data: all that a picture shows.

No part of a scene can be made that holds more than a picture shows, or characters that disturb
a page: what a learner's engine answers may be megabytes, or 10,000 containers.
"""

from typing import Any
from unicodedata import combining

import msgspec
from msgspec.structs import force_setattr

#: What a picture has room for: characters of a name, things of one kind, and any number.
MOST_TEXT, MOST_THINGS, MOST = 40, 24, 99_999


def plain(text: str) -> str:
    """*text*, not too long, without characters that act on what stands around them."""
    cut = text if len(text) <= MOST_TEXT else text[: MOST_TEXT - 1] + "…"
    return "".join(c if c.isprintable() and not combining(c) else "�" for c in cut)


def spoken(name: str) -> str:
    """As people call it: "vote" for the task "voting_vote.1", a container or a service."""
    return name.partition(".")[0].rpartition("_")[2]


def _bounded(value: Any) -> Any:
    if isinstance(value, str):
        return plain(value)
    if isinstance(value, list):
        return [_bounded(each) for each in value[:MOST_THINGS]]
    return max(min(value, MOST), 0) if isinstance(value, int) else value


class Part(msgspec.Struct, frozen=True):
    """Part of a scene. However it is made, by hand or from JSON, its size is bounded."""

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            force_setattr(self, name, _bounded(getattr(self, name)))


class Mount(Part, frozen=True):
    """A volume by its name or, with kind "bind", a folder or file of the host by its path."""

    name: str
    kind: str = "volume"
    read_only: bool = False


class Container(Part, frozen=True):
    """One container.

    Attributes:
        name: short as services name their tasks, such as "voting_vote.1".
        image: without its digest.
        state: as Docker says, with the exit code where there is one: "exited (137)".
        health: "healthy", "unhealthy", "starting", or nothing.
        ports: the host's and the container's, such as "5000→80".
        networks: names; also "none", "host" and "container:NAME", as Docker has them.
        id: the first twelve characters, as `docker ps` shows it.
    """

    name: str
    image: str
    state: str = "running"
    health: str = ""
    ports: list[str] = []
    networks: list[str] = []
    mounts: list[Mount] = []
    id: str = ""


class Host(Part, frozen=True):
    """One lab host.

    Attributes:
        answers: whether its engine does.
        role: in a swarm: "manager, leader", "manager", "worker"; or nothing.
        standing: what is special about it there: "drained", "paused", "down" and the like.
        volumes: those that no container mounts.
        more: how many containers it has beyond those listed.
    """

    name: str
    answers: bool = True
    role: str = ""
    standing: str = ""
    containers: list[Container] = []
    volumes: list[str] = []
    more: int = 0

    def __post_init__(self) -> None:
        force_setattr(self, "more", self.more + max(len(self.containers) - MOST_THINGS, 0))
        super().__post_init__()


class Network(Part, frozen=True):
    """A network, and the hosts that know it: several, if it is a swarm's."""

    name: str
    driver: str
    subnet: str
    hosts: list[str]
    swarm: bool = False


class Service(Part, frozen=True):
    """A service of a swarm; `ports` are those on which each of the swarm's hosts listens."""

    name: str
    running: int
    wanted: int
    ports: list[str] = []


class Scene(Part, frozen=True):
    """All hosts of a lab."""

    hosts: list[Host]
    networks: list[Network] = []
    services: list[Service] = []
