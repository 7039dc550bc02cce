"""What containers mount, and what they can do with it.

Files are reached as the container's main process reaches them (/proc/PID/root, from the host): its
mounts, with their rights, and the file that is really mounted. The engine's archive API would
mount anew, and so show a file that has taken the place of the mounted one.
"""

from collections.abc import Callable
from secrets import token_hex
from shlex import quote
from typing import Any, NamedTuple

from docker import DockerClient
from docker.errors import NotFound
from docker.models.containers import Container
from docker.models.volumes import Volume
from testinfra.host import Host

from containers import Containers

Mount = dict[str, Any]
PROBE_FILE = ".dockyard-probe"


class Place(NamedTuple):
    """A file or folder as a running container sees it."""

    container: Container
    path: str
    host: str | None = None


class Volumes:
    """Volumes and mounts on the lab's hosts; *host* is the lab's first one unless it is said."""

    def __init__(
        self,
        containers: Containers,
        on_host: Callable[[str], Host],
        wait_until: Callable[..., Any],
    ) -> None:
        self._containers = containers
        self._on_host = on_host
        self._wait_until = wait_until
        self._first = containers.lab.hosts[0]

    def volume(self, name: str, host: str | None = None) -> Volume | None:
        """A volume by its name; None where there is none."""
        client: DockerClient = self._containers.lab.client(host or self._first)
        try:
            return client.volumes.get(name)
        except NotFound:
            return None

    def unused(self, host: str | None = None) -> list[Volume]:
        """Volumes that no container has, running or not."""
        client = self._containers.lab.client(host or self._first)
        return list(client.volumes.list(filters={"dangling": True}))

    def mounted(self, host: str | None = None) -> list[tuple[Mount, Place]]:
        """Every volume in every running container."""
        return [
            (each, Place(container, each["Destination"], host))
            for container in self._containers.there(host)
            for each in mounts(container)
            if each["Type"] == "volume"
        ]

    def remote(self, host: str) -> list[Place]:
        """The volumes in running containers that a plugin brings, or a mount with options."""
        return [
            place
            for mount, place in self.mounted(host)
            if mount["Driver"] != "local" or self._options(mount["Name"], host)
        ]

    def givers(self, user: Container, host: str | None = None) -> dict[str, str]:
        """The containers from which one takes its volumes (--volumes-from), and their states."""
        there = self._containers.there(host, stopped=True)
        names = [each.split(":")[0] for each in user.attrs["HostConfig"]["VolumesFrom"] or []]
        known = {name: each.status for each in there for name in (str(each.name), str(each.id))}
        return {name: known.get(name, "gone") for name in names}

    def read(self, place: Place) -> str | None:
        """A file's content now; None where there is no such file."""
        done = self._run("cat", place)
        return str(done.stdout).strip() if done.rc == 0 else None

    def can_write(self, place: Place, text: str = "") -> bool:
        """Whether *text* can be put at a file's end; without a text, nothing changes."""
        return bool(self._run(f"printf %s {quote(text)} >>", place).rc == 0)

    def passes(self, source: Place, target: Place, seconds: float = 0.1) -> bool:
        """Whether a file that is written in one folder can be read in the other one in time."""
        text = token_hex(8)
        written = source._replace(path=f"{source.path}/{PROBE_FILE}")
        wanted = target._replace(path=f"{target.path}/{PROBE_FILE}")
        try:
            # A file system on the network may have been mounted just now: it is asked again.
            self._wait_until(lambda: self.can_write(written, text), seconds)
            self._wait_until(lambda: text in (self.read(wanted) or ""), seconds)
        except TimeoutError:
            return False
        finally:
            self._run("rm -f", written)
        return True

    def filesystem(self, place: Place) -> tuple[str, int]:
        """The type of the file system there, such as "tmpfs", and its size in bytes."""
        done = self._run("stat -f -c '%T %S %b'", place)
        kind, block, blocks = done.stdout.split() if done.rc == 0 else ("none", "0", "0")
        return str(kind), int(block) * int(blocks)

    def _options(self, name: str, host: str) -> dict[str, str]:
        volume = self.volume(name, host)
        return dict(volume.attrs["Options"] or {}) if volume else {}

    def _run(self, command: str, place: Place) -> Any:
        path = quote(f"/proc/{self._containers.pid(place.container)}/root{place.path}")
        # A file system on the network may have nobody who answers.
        line = f"timeout 5 sh -c {quote(f'{command} {path}')}"
        return self._on_host(place.host or self._first).run(line)


def mount_at(container: Container | None, path: str) -> Mount | None:
    """What a container has mounted at exactly this path."""
    found = mounts(container) if container else []
    return next((each for each in found if each["Destination"].rstrip("/") == path), None)


def mounts(container: Container) -> list[Mount]:
    """What a container mounts: volumes and folders or files of its host, not tmpfs."""
    return list(container.attrs["Mounts"])


def describe(container: Container | None) -> str:
    """For a learner: "redis: volume notes at /data, host's /srv/x at /x (read-only)"."""
    if container is None:
        return "no such container"
    shown = []
    for each in mounts(container):
        name = str(each.get("Name"))
        name = name if has_own_name(each) else f"{name[:12]}… (no name of yours)"
        what = {"bind": f"host's {each.get('Source')}", "volume": f"volume {name}"}
        right = "" if each.get("RW") else " (read-only)"
        shown.append(f"{what.get(each['Type'], each['Type'])} at {each['Destination']}{right}")
    return f"{container.name}: {', '.join(shown) or 'nothing mounted'}"


def has_own_name(mount: Mount | None) -> bool:
    """Whether it is a volume that somebody gave a name; Docker's own names are 64 hex digits."""
    name = str((mount or {}).get("Name") or "")
    return bool(name) and not (len(name) == 64 and set(name) <= set("0123456789abcdef"))
