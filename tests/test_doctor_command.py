"""The whole `dockyard doctor`, on machines that really lack something.

What it looks at is made so: a small disk, a limit, a port that is taken, another user. Namespaces
keep that from everybody else on this machine.
"""

import grp
import json
import os
import shutil
import socket
import socketserver
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import docker
import pytest

from dockyard import engine, jupyter, settings
from dockyard.lab import LAB_MARK, PORTS

pytestmark = pytest.mark.lab
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="namespaces and other users take root")

COMMAND = [sys.executable, "-m", "dockyard", "doctor", "--json"]
NOBODY = 65534
Rows = dict[str, dict[str, str]]


class Machine:
    """This one, in an environment of its own; the trial of a lab host is left out."""

    def __init__(self, course: Path) -> None:
        self.variables = {name: value for name, value in os.environ.items() if name != LAB_MARK}
        self.variables["DOCKYARD_STATE"] = str(settings.state_dir())
        self.variables["DOCKYARD_ENGINE_HOST"] = engine.find().url
        self.variables["DOCKYARD_COURSE"] = str(course)

    def doctor(self, *before: str, command: list[str] = COMMAND) -> tuple[Rows, int]:
        """What it says of each point, and its exit code.

        Args:
            before: a command that runs it.
        """
        done = subprocess.run(
            [*before, *command], env=self.variables, capture_output=True, text=True, check=False
        )
        assert done.stdout, done.stderr
        return {row["name"]: row for row in json.loads(done.stdout)}, done.returncode

    def unset_engine(self, folder: Path) -> None:
        """Nobody has named an engine, and no embedded one was ever made."""
        for name in [each for each in self.variables if each.startswith("DOCKER_")]:
            del self.variables[name]
        del self.variables["DOCKYARD_ENGINE_HOST"]
        for name in ("DOCKYARD_STATE", "DOCKER_CONFIG", "XDG_RUNTIME_DIR"):
            self.variables[name] = str(folder / name)


def within(script: str, *options: str) -> tuple[str, ...]:
    """Runs a command in namespaces of its own, in which *script* was run before."""
    return ("unshare", *options, "sh", "-ec", f'{script}; exec "$@"', "sh")


@pytest.fixture
def machine(outer: docker.DockerClient, tmp_path: Path) -> Machine:
    assert outer.ping()
    course = tmp_path / "course"
    for folder in ("images", "exercises"):
        shutil.copytree(settings.course_dir() / folder, course / folder)
    with (course / "images" / "debian" / "Dockerfile").open("a") as recipe:
        recipe.write("# changed, so that it is not made yet\n")
    return Machine(course)


def test_this_machine_is_fit(machine: Machine) -> None:
    rows, code = machine.doctor()
    assert (code, [row for row in rows.values() if row["state"] == "broken"]) == (0, [])
    assert rows["lab host"]["mend"] == "dockyard images"


@needs_root
def test_no_engine(machine: Machine, tmp_path: Path) -> None:
    machine.unset_engine(tmp_path)
    empty = within("mount -t tmpfs none /run", "--mount")  # no usual socket, whoever has one
    rows, code = machine.doctor(*empty)
    assert (rows["engine"]["state"], code) == ("broken", 2)
    assert "No engine answers" in rows["engine"]["found"]
    assert rows["engine"]["means"] == "no lesson can be taken"
    assert "make lab" in rows["engine"]["mend"]
    assert [name for name, row in rows.items() if row["state"] == "broken"] == ["engine"]


class OldEngine(BaseHTTPRequestHandler):
    """A stand-in: it says of itself what Engine 19.03 says, and knows nothing else."""

    def address_string(self) -> str:
        return ""  # of a unix socket

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        old = {"Version": "19.03.15", "ApiVersion": "1.40", "MinAPIVersion": "1.12"}
        path = self.path.removeprefix("/v1.40")
        body = {"/_ping": b"OK", "/version": json.dumps(old).encode()}.get(path)
        self.send_response(404 if body is None else 200)
        self.send_header("Api-Version", "1.40")
        self.send_header("Content-Length", str(len(body or b"")))
        self.end_headers()
        self.wfile.write(body or b"")


def test_an_engine_that_is_too_old(machine: Machine, tmp_path: Path) -> None:
    path = str(tmp_path / "docker.sock")
    with socketserver.ThreadingUnixStreamServer(path, OldEngine) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        machine.variables["DOCKYARD_ENGINE_HOST"] = f"unix://{path}"
        rows, code = machine.doctor()
        server.shutdown()
    assert (rows["engine"]["state"], code) == ("broken", 2)
    assert rows["engine"]["found"].startswith("19.03.15, API 1.40")
    assert "20.10 is the oldest" in rows["engine"]["means"]
    assert [name for name, row in rows.items() if row["state"] == "broken"] == ["engine"]


@needs_root
@pytest.mark.parametrize(
    ("mode", "mend"),
    [
        (0o660, "sudo usermod -aG {group} "),
        (0o600, "for root only: run the same command with sudo"),
    ],
)
def test_a_user_without_rights(machine: Machine, mode: int, mend: str) -> None:
    # Its modules are imported before rights are given up, for they may be root's alone.
    as_nobody = (
        "import os, sys; from dockyard import cli; from dockyard.doctor import diagnosis;"
        f"os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY});"
        "sys.argv[1:] = ['doctor', '--json']; cli.main()"
    )
    group = grp.getgrgid(1)
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as listener:
        Path(folder).chmod(0o755)
        path = Path(folder) / "docker.sock"
        listener.bind(str(path))
        path.chmod(mode)
        os.chown(path, 0, group.gr_gid)
        machine.variables["DOCKYARD_ENGINE_HOST"] = f"unix://{path}"
        rows, code = machine.doctor(command=[sys.executable, "-c", as_nobody])
    assert (rows["engine"]["state"], code) == ("broken", 2)
    assert rows["engine"]["found"] == f'This user may not use the engine at "unix://{path}"'
    assert mend.format(group=group.gr_name) in rows["engine"]["mend"]


@needs_root
@pytest.mark.parametrize(("size", "state"), [("8m", "broken"), ("2g", "remark"), ("6g", "ok")])
def test_little_disk(outer: docker.DockerClient, machine: Machine, size: str, state: str) -> None:
    root = outer.info()["DockerRootDir"]
    small = within(f"mount -t tmpfs -o size={size} small '{root}'", "--mount")
    rows, code = machine.doctor(*small)
    assert (rows["disk"]["state"], code) == (state, 2 if state == "broken" else 0)


@needs_root
@pytest.mark.parametrize(
    ("kilobytes", "state"), [(300_000, "broken"), (1_500_000, "remark"), (3_000_000, "ok")]
)
def test_little_memory(machine: Machine, tmp_path: Path, kilobytes: int, state: str) -> None:
    """As a smaller machine's kernel tells it."""
    told = tmp_path / "meminfo"
    told.write_text(
        f"MemTotal: 4000000 kB\nMemFree: 100000 kB\nMemAvailable: {kilobytes} kB\n"
        "Buffers: 0 kB\nCached: 0 kB\nSReclaimable: 0 kB\nShmem: 0 kB\n"
        "SwapTotal: 0 kB\nSwapFree: 0 kB\n"
    )
    rows, code = machine.doctor(*within(f"mount --bind '{told}' /proc/meminfo", "--mount"))
    assert (rows["memory"]["state"], code) == (state, 2 if state == "broken" else 0)
    assert rows["memory"]["found"] == f"{kilobytes * 1024 / 1e9:.1f} GB free"


def test_jupyterlabs_port_is_taken(machine: Machine) -> None:
    with socket.socket() as holder:
        mine = False
        with suppress(OSError):  # then somebody has taken it already, which is as good
            holder.bind(("127.0.0.1", jupyter.DEFAULT_PORT))
            holder.listen()
            mine = True
        rows, code = machine.doctor()
    row = rows["JupyterLab's port"]
    assert (row["state"], code) == ("remark", 0)
    assert "is taken by " in row["found"]
    assert not mine or f"process {os.getpid()}" in row["found"]


#: Takes all ports of labs but some, runs a command, and gives them back by its own end.
TAKE_PORTS = f"""
import os, socket, subprocess, sys
ports = list(range({PORTS[0]}, {PORTS[-1] + 1}))[int(sys.argv[1]):]
ended, alive = os.pipe()
for start in range(0, len(ports), 500):
    told, tell = os.pipe()
    if not os.fork():
        os.close(alive)
        held = [socket.create_server(("127.0.0.1", each)) for each in ports[start:start + 500]]
        os.write(tell, b".")
        os.read(ended, 1)
        os._exit(0)
    os.read(told, 1)
sys.exit(subprocess.run(sys.argv[2:]).returncode)
"""


@needs_root
@pytest.mark.parametrize(("free", "state"), [(5, "broken"), (100, "remark"), (1000, "ok")])
def test_ports_of_labs_are_taken(machine: Machine, free: int, state: str) -> None:
    alone = within("ip link set lo up", "--net")
    rows, code = machine.doctor(*alone, sys.executable, "-c", TAKE_PORTS, str(free))
    row = rows["ports of labs"]
    assert (row["state"], code) == (state, 2 if state == "broken" else 0)
    assert row["found"].startswith(f"{free} of ")
    assert ("(500 of them)" in row["found"]) is (state != "ok")


@needs_root
@pytest.mark.parametrize(("most", "state"), [("1", "broken"), ("1000", "ok")])
def test_few_inotify_instances(machine: Machine, most: str, state: str) -> None:
    """The kernel counts them for each user namespace, too."""
    limit = f"echo {most} > /proc/sys/user/max_inotify_instances"
    rows, code = machine.doctor(*within(limit, "--user", "--map-root-user"))
    row = rows["inotify"]
    assert (row["state"], code) == (state, 2 if state == "broken" else 0)
    assert f"{most} instances can be had of " in row["found"] or state == "ok"
    assert "sysctl -w fs.inotify.max_user_instances" in row["mend"] or state == "ok"


@pytest.mark.parametrize(("most", "state"), [("100", "broken"), ("300", "remark"), ("900", "ok")])
def test_few_open_files(machine: Machine, most: str, state: str) -> None:
    rows, code = machine.doctor("prlimit", f"--nofile={most}:{most}")
    assert (rows["open files"]["state"], code) == (state, 2 if state == "broken" else 0)
    assert "ulimit -n" in rows["open files"]["mend"] or state == "ok"
    assert rows["inotify"]["state"] == "ok"


@contextmanager
def programs(folder: Path, *names: str) -> Iterator[str]:
    """A path on which there are only these."""
    folder.mkdir()
    for name in names:
        (folder / name).write_text("#!/bin/sh\n")
        (folder / name).chmod(0o755)
    yield str(folder)


@pytest.mark.parametrize(("browser", "state"), [("", "remark"), ("chromium", "ok")])
def test_no_browser(machine: Machine, tmp_path: Path, browser: str, state: str) -> None:
    with programs(tmp_path / "bin", "docker", *filter(None, [browser])) as path:
        machine.variables["PATH"] = path
        rows, code = machine.doctor()
    assert (rows["browser"]["state"], code) == (state, 0)
    assert rows["browser"]["found"] == (f"{path}/{browser}" if browser else "none on the path")


@needs_root
def test_what_is_needed_grows_with_the_learners(machine: Machine) -> None:
    """So many ports and instances as one lab takes are too few for thirty."""
    few = within("echo 20 > /proc/sys/user/max_inotify_instances", "--user", "--map-root-user")
    assert machine.doctor(*few)[0]["inotify"]["state"] == "ok"
    rows, _ = machine.doctor(*few, command=[*COMMAND, "--learners", "30"])
    assert rows["inotify"]["state"] == "broken"
    assert "20 instances can be had of " in rows["inotify"]["found"]
