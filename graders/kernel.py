"""What a host's kernel says of a container: the limits of its control group, its namespaces."""

from collections.abc import Callable
from typing import NamedTuple

from docker.models.containers import Container
from testinfra.host import Host

from containers import Containers

TREE = "/sys/fs/cgroup"
UNLIMITED = 2**60  # version 1 writes "no limit" as the largest number that it has room for
MEBIBYTE = 2**20


class Limits(NamedTuple):
    """What a container may use; None: as much as there is."""

    memory: int | None
    cores: float | None
    processes: int | None

    def __str__(self) -> str:
        memory = "all" if self.memory is None else f"{self.memory / MEBIBYTE:g} MiB"
        cores = "all cores" if self.cores is None else f"{self.cores:g} of a core"
        return f"{memory} of memory, {cores}, {self.processes or 'any number of'} processes"


class Kernel:
    """The kernel's own files on the lab's first host, about its containers."""

    def __init__(self, containers: Containers, on_host: Callable[[str], Host]) -> None:
        self._containers = containers
        self._host = on_host(containers.lab.hosts[0])

    def limits(self, container: Container) -> Limits:
        """A container's limits that are in force."""
        memory = self._read(container, "memory", ["memory.limit_in_bytes"], ["memory.max"])
        files = ["cpu.cfs_quota_us", "cpu.cfs_period_us"], ["cpu.max"]
        quota, _, period = self._read(container, "cpu", *files).partition(" ")
        processes = self._read(container, "pids", ["pids.max"], ["pids.max"])
        cores = int(quota) / int(period) if quota.isdigit() else None
        return Limits(_number(memory), cores, _number(processes))

    def namespace(self, container: Container, kind: str) -> int:
        """The inode of a container's namespace, such as "net"; 0 where it does not run."""
        link = self._host.run(f"readlink /proc/{self._containers.pid(container)}/ns/{kind}").stdout
        return int("".join(filter(str.isdigit, link)) or 0)

    def _read(self, container: Container, controller: str, *names: list[str]) -> str:
        """Files of a container's group, in one line: the ones of version 1, or of version 2."""
        folder, version = control_group(self._host, self._containers.pid(container), controller)
        files = " ".join(f"{folder}/{name}" for name in names[version - 1])
        return " ".join(self._host.run(f"cat {files}").stdout.split())


def control_group(host: Host, pid: int, controller: str) -> tuple[str, int]:
    """The folder of a process's group for a controller, and whose version (1 or 2) it is."""
    listed = host.run(f"cat /proc/{pid}/cgroup").stdout
    groups = dict(line.split(":", 2)[1:] for line in listed.splitlines())
    for controllers, path in groups.items():
        if controller in controllers.split(","):
            return f"{TREE}/{controllers}{path}", 1
    return f"{TREE}{groups.get('', '')}", 2


def _number(text: str) -> int | None:
    """A limit; None for none."""
    return int(text) if text.isdigit() and int(text) < UNLIMITED else None
