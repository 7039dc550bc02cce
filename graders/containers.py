"""Containers on the lab's hosts, looked at from outside.

A container's own shell and tools belong to the learner, and may not exist or may lie. So the
engine's API tells what is configured, and what happens inside is seen with tools of the host, or
of a probe container of ours, in the container's namespaces.
"""

import io
import json
import tarfile
import time
from collections.abc import Callable
from contextlib import suppress
from shlex import join, quote
from typing import Any, NamedTuple

from docker.errors import APIError, NotFound
from docker.models.containers import Container
from testinfra.host import Host

PROBE_IMAGE = "dockyard/debian:1"
PROBE_LABEL = "dockyard.probe"
START = 20  # seconds for a container of ours to start and end
STEADY = 10  # seconds in which a folder can be read without one of its files growing
EMPTY = bytes(2 * tarfile.BLOCKSIZE)  # how every whole archive ends
RESTART = 10  # seconds in which a restart policy has to bring a container back


class Ended(NamedTuple):
    """How a probe of ours ended; a status of None: it could not be started."""

    status: int | None
    output: str


class Stopped(NamedTuple):
    """How a container of a learner's stopped."""

    seconds: float
    status: int

    @property
    def killed(self) -> bool:
        return self.status == 137  # 128 + SIGKILL

    def __str__(self) -> str:
        end = "killed" if self.killed else f"exit code {self.status}"
        return f"{end} after {self.seconds:.1f} s"


class Process(NamedTuple):
    """A process of a container, as its host sees it."""

    pid: int
    uid: int
    program: str


class Containers:
    """What runs on the lab's hosts; *host* is the lab's first one unless it is said."""

    def __init__(
        self, lab: Any, on_host: Callable[[str], Host], wait_until: Callable[..., Any]
    ) -> None:
        self.lab = lab
        self._on_host = on_host
        self._wait_until = wait_until

    def there(self, host: str | None = None, *, stopped: bool = False) -> list[Container]:
        """The learner's running containers; with *stopped*, all of them."""
        client = self.lab.client(host or self.lab.hosts[0])
        found: list[Container] = client.containers.list(all=stopped, ignore_removed=True)
        return [each for each in found if PROBE_LABEL not in each.labels]

    def playing(
        self, role: str, host: str | None = None, *, stopped: bool = False
    ) -> Container | None:
        """The container that plays a part: by its name, or else by its image's name."""
        there = self.there(host, stopped=stopped)
        named = [each for each in there if each.name == role]
        made = [each for each in there if _image_name(each) == role]
        return next(iter(named + made), None)

    def describe(self, host: str | None = None) -> str:
        """The running containers and their images, for a learner."""
        there = (f"{each.name} ({each.attrs['Config']['Image']})" for each in self.there(host))
        return ", ".join(sorted(there)) or "no containers"

    def run(
        self,
        command: list[str],
        host: str | None = None,
        image: str = PROBE_IMAGE,
        **options: Any,
    ) -> Ended:
        """Run a probe of ours to its end, and remove it; options as the SDK's `create` has them."""
        client = self.lab.client(host or self.lab.hosts[0])
        container: Container | None = None
        limits = {"mem_limit": "64m", "pids_limit": 32, "labels": {PROBE_LABEL: "1"}}
        try:
            ours = self.lab.image(image).id  # a learner can give another image this name
            container = client.containers.create(ours, command, **{**limits, **options})
            container.start()
            status = int(container.wait(timeout=START)["StatusCode"])
            return Ended(status, container.logs().decode(errors="replace"))
        except APIError as error:  # such a network, volume or image is not there
            return Ended(None, str(error.explanation))
        finally:
            if container is not None:
                container.remove(force=True, v=True)

    def connects(
        self, container: Container, address: str, port: int, host: str | None = None
    ) -> bool:
        """Whether *address* and *port* can be reached from inside a container's network."""
        knock = f"timeout 1 bash -c '</dev/tcp/{address}/{port}'"
        return self._inside(container, knock, host).rc == 0

    def ask(
        self,
        address: str,
        port: int,
        text: str,
        container: Container | None = None,
        host: str | None = None,
    ) -> str:
        """What a server says to *text*, asked from inside a container's network or from a host."""
        talk = f"exec 3<>/dev/tcp/{address}/{port}; printf %s {quote(text)} >&3; head -c 9999 <&3"
        line = f"timeout 3 bash -e -c {quote(talk)}"
        if container is not None:
            return str(self._inside(container, line, host).stdout)
        return str(self._on_host(host or self.lab.hosts[0]).run(line).stdout)

    def interfaces(self, container: Container, host: str | None = None) -> dict[str, list[str]]:
        """The network as a container sees it: its interfaces, each with its IPv4 addresses."""
        shown = json.loads(self._inside(container, "ip -json address", host).stdout or "[]")
        return {
            each["ifname"]: [at["local"] for at in each["addr_info"] if at["family"] == "inet"]
            for each in shown
        }

    def addresses(self, container: Container, name: str, host: str | None = None) -> list[str]:
        """What *name* resolves to inside a container's network; nothing where nobody knows it."""
        # A host asks 127.0.0.11, which in a container's network is the engine's DNS for it.
        # It passes unknown names on, and a room without a network may have nobody who answers.
        listed = self._inside(container, f"timeout 5 getent ahostsv4 {name}", host).stdout
        return sorted({line.split()[0] for line in listed.splitlines() if line.strip()})

    def names_known(self, host: str, network: str, names: list[str]) -> set[str]:
        """Which of *names* a container on *host* can resolve in *network*."""
        look_up = "for name; do timeout 5 getent ahosts $name >/dev/null && echo $name; done; true"
        command = ["sh", "-c", look_up, "probe", *names]
        if there := self._member(host, network):
            # Its DNS answers at once, while a container of ours would take a second to join.
            output = self._inside(there, join(command), host).stdout
        else:
            output = self.run(command, host, network=network).output
        return set(output.split()) & set(names)

    def _member(self, host: str, network: str) -> Container | None:
        """Some container on *host* that is in *network*."""
        client = self.lab.client(host)
        try:
            joined = client.api.inspect_network(network).get("Containers") or {}
            ids = [each for each in joined if not each.startswith("lb-")]  # swarm's balancer
            return client.containers.get(ids[0]) if ids else None
        except NotFound:
            return None  # a worker knows an overlay only while a task there uses it

    def pid(self, container: Container) -> int:
        """The container's main process, as its host numbers it; 0 where it does not run."""
        container.reload()
        return int(container.attrs["State"]["Pid"])

    def processes(self, container: Container, host: str | None = None) -> list[Process]:
        """The main process and its descendants; not what `docker exec` or a health check began."""
        main = self.pid(container)
        try:
            listed = container.top(ps_args="-eo pid,ppid,uid")["Processes"]
        except APIError:  # it has ended
            return []
        found = {main: Process(main, 0, "")}
        for pid, parent, uid in sorted(tuple(map(int, row)) for row in listed):
            if pid == main or parent in found:
                found[pid] = Process(pid, uid, self._program(pid, host))
        return list(found.values())

    def _program(self, pid: int, host: str | None) -> str:
        """The name of the file that a process runs; it cannot change that, as it can its title."""
        on_host = self._on_host(host or self.lab.hosts[0])
        return on_host.run(f"readlink /proc/{pid}/exe").stdout.strip().rsplit("/", 1)[-1]

    def read(self, container: Container, path: str) -> bytes | None:
        """A file of a container, running or not; None where there is none."""
        return next(iter(self.files(container, path).values()), None)

    def files(self, container: Container, path: str) -> dict[str, bytes]:
        """A container's file, or all files of a folder, by name; none where *path* is not there."""
        taken = self._wait_until(lambda: _archive(container, path), STEADY)
        with tarfile.open(fileobj=io.BytesIO(taken)) as tar:
            members = {each.name: tar.extractfile(each) for each in tar if each.isfile()}
            return {name: file.read() for name, file in members.items() if file}

    def stopped(self, container: Container, patience: int = 10) -> Stopped:
        """What comes of `docker stop --time PATIENCE`; then it runs again."""
        began = time.monotonic()
        container.stop(timeout=patience)
        seconds = time.monotonic() - began
        container.reload()
        status = int(container.attrs["State"]["ExitCode"])
        container.start()
        return Stopped(seconds, status)

    def comes_back(self, container: Container, host: str | None = None) -> bool:
        """Whether the restart policy starts it again when its main process dies.

        `docker kill` would not do: after it, Docker takes the container for stopped by hand.
        """
        pid = self.pid(container)
        self._on_host(host or self.lab.hosts[0]).run(f"kill -9 {pid}")
        with suppress(TimeoutError):
            self._wait_until(lambda: self.pid(container) not in (0, pid), RESTART)
            return True
        container.start()  # what we broke, we mend
        return False

    def _inside(self, container: Container, command: str, host: str | None) -> Any:
        """Run a command of the host in the network of a container."""
        line = f"nsenter --net=/proc/{self.pid(container)}/ns/net {command}"
        return self._on_host(host or self.lab.hosts[0]).run(line)


def _archive(container: Container, path: str) -> bytes | None:
    """What `docker cp` gives; None where a file grew meanwhile, for there the engine breaks off."""
    try:
        chunks, _ = container.get_archive(path)
    except NotFound:
        return EMPTY
    taken = b"".join(chunks)
    return taken if taken.endswith(EMPTY) else None


def _image_name(container: Container) -> str:
    """The word "vote" of "dockyard/vote:1"."""
    image = str(container.attrs["Config"]["Image"])
    return image.split("@")[0].rsplit("/", 1)[-1].split(":")[0]
