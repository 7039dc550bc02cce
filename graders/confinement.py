"""What the kernel lets a container do, seen and tried by its host.

What overruns a container's limits is a process of ours that joins its control groups: small
enough to do a host without limits no harm, and with a fuse.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from docker.models.containers import Container
from testinfra.host import Host

from containers import Containers
from kernel import control_group

END = 10  # seconds in which all processes of a bomb have started, or ended
FUSE = 30  # seconds after which a bomb ends by itself, whatever happens to us
KILLED = 128 + 9
ANSWER = "/run/dockyard-bomb"

#: File systems of the kernel's own, and memory: nothing that is written there stays.
FLEETING = {"proc", "sysfs", "tmpfs", "devtmpfs", "devpts", "mqueue", "cgroup", "cgroup2"}

# The kernel may take memory back from us before it takes it from anybody else.
JOIN = """
for group in GROUPS; do
  echo $$ > "$group/cgroup.procs" || exit 1
done
echo 1000 > /proc/self/oom_score_adj
"""
# It ends by a signal or its fuse, and waits for its children: until then they count as processes.
BOMB = """exec perl -e '
  $| = 1;
  $SIG{TERM} = sub {};
  while (@children < SIZE and defined($child = fork)) {
    if (!$child) { sleep FUSE; exit }
    push @children, $child;
  }
  print scalar(@children), "\n";
  sleep FUSE;
  kill 9, @children;
  1 while wait > 0;
  print "gone\n"'"""
HOG = """exec perl -e '$hog = "x" x (SIZE << 20)'"""


class Confinement:
    """What the processes of a container on the lab's first host may do."""

    def __init__(
        self,
        containers: Containers,
        on_host: Callable[[str], Host],
        wait_until: Callable[..., Any],
    ) -> None:
        self._containers = containers
        self._host = on_host(containers.lab.hosts[0])
        self._wait_until = wait_until

    def status(self, container: Container) -> dict[str, str]:
        """What the kernel says of its main process, such as CapBnd; nothing where none runs."""
        told = self._host.run(f"cat /proc/{self._containers.pid(container)}/status").stdout
        return dict(line.split(":\t", 1) for line in told.splitlines() if ":\t" in line)

    def writable(self, container: Container) -> set[str]:
        """The mount points at which what is written stays; "/" is the container's own."""
        told = self._host.run(f"cat /proc/{self._containers.pid(container)}/mountinfo").stdout
        found = set()
        for line in told.splitlines():
            mount, _, source = line.partition(" - ")
            _, _, _, _, point, options, *_ = mount.split()
            if "rw" in options.split(",") and source.split()[0] not in FLEETING:
                found.add(point)
        return found

    @contextmanager
    def fork_bomb(self, container: Container, size: int) -> Iterator[int]:
        """Let *size* processes loose among a container's own; says how many could start."""
        bomb = self._script(container, JOIN + BOMB, size)
        run = f"rm -f {ANSWER}; sh -c %s > {ANSWER} 2>&1 & echo $!"
        leader = self._host.run(run, bomb).stdout.strip()
        try:
            yield int(self._wait_until(self._answer, END)[0])  # no number is an error of ours
        finally:
            self._host.run(f"kill {leader}")
            self._wait_until(lambda: "gone" in self._answer(), FUSE + END)

    def memory_hog(self, container: Container, megabytes: int) -> bool:
        """Ask for memory among a container's processes; whether the kernel killed us for it."""
        ended = self._host.run("sh -c %s", self._script(container, JOIN + HOG, megabytes))
        if ended.rc not in (0, KILLED):
            raise RuntimeError(f"the memory hog did not start: {ended.stderr}")
        return bool(ended.rc == KILLED)

    def _answer(self) -> list[str]:
        return self._host.run(f"cat {ANSWER}").stdout.split()

    def _script(self, container: Container, script: str, size: int) -> str:
        pid = self._containers.pid(container)
        # One and the same group in version 2.
        groups = {control_group(self._host, pid, each)[0] for each in ("memory", "pids")}
        values = {"GROUPS": " ".join(groups), "SIZE": size, "FUSE": FUSE}
        for name, value in values.items():
            script = script.replace(name, str(value))
        return script
