"""The embedded engine: a private dockerd for machines on which none answers."""

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import docker
from docker.errors import DockerException

from dockyard import apt, bridge
from dockyard.alone import locked
from dockyard.errors import EngineError
from dockyard.settings import Say, quiet, site, state_dir
from dockyard.waiting import wait_until

PACKAGES = ["docker.io", "iptables", "iproute2"]
START_TIMEOUT = 60  # seconds; a first start on a slow disk takes several


def run_dir() -> Path:
    """Socket and process id: under /run, because a socket's path ends at 107 bytes."""
    return Path(f"/run/dockyard-{site()}")


def data_dir() -> Path:
    return state_dir() / "engine"


def socket_path() -> Path:
    return run_dir() / "docker.sock"


def log_path() -> Path:
    return data_dir() / "dockerd.log"


def is_installed_here() -> bool:
    """Whether this checkout has an embedded engine: then labs live there, and it is the one."""
    return (data_dir() / "data").is_dir()


def is_running() -> bool:
    """Whether the embedded engine answers now."""
    try:
        client = docker.DockerClient(base_url=f"unix://{socket_path()}", timeout=2)
        return socket_path().exists() and bool(client.ping())
    except (DockerException, OSError):
        return False


def ensure_running(say: Say = quiet) -> None:
    """Start the engine, unless it runs.

    Raises:
        EngineError: it does not come up, with the end of its log; or it runs, and hangs.
    """
    with _only_one_at_a_time():
        if is_running():  # another process started it while we waited
            return
        if _is_coming(say):
            return
        say("Starting Dockyard's own Docker engine")
        process = _start()
        try:
            wait_until(lambda: is_running() or process.poll() is not None, START_TIMEOUT)
        except TimeoutError:
            process.kill()
        if not is_running():
            raise EngineError(
                f'The embedded engine did not come up. The end of "{log_path()}":\n{log_tail()}'
            )


def _is_coming(say: Say) -> bool:
    """Whether one that does not answer yet does in the end; a second one would harm its data."""
    if not _process_id():
        return False
    say("Waiting for Dockyard's own Docker engine")
    with contextlib.suppress(TimeoutError):
        wait_until(lambda: is_running() or not _process_id(), START_TIMEOUT)
    if is_running():
        return True
    if pid := _process_id():
        raise EngineError(
            f"Dockyard's own Docker engine (process {pid}) does not answer. End it (kill {pid}), "
            "then the same command starts it anew; nothing of your labs is lost."
        )
    return False


def stop(say: Say = quiet) -> None:
    """Stop the engine and take its bridge away; its data stays. Does nothing where none runs."""
    if pid := _process_id():
        say("Stopping Dockyard's own Docker engine")
        os.kill(pid, signal.SIGTERM)
        try:
            wait_until(lambda: not _process_id(), 30, "the embedded engine to stop")
        except TimeoutError:
            os.kill(pid, signal.SIGKILL)
    _stop_orphan("containerd", _containerd_pid_file())
    bridge.remove()
    _remove_folder(run_dir())


def remove(say: Say = quiet) -> None:
    """Stop the engine and delete all that it stored."""
    stop(say)
    _remove_folder(data_dir())


def _remove_folder(folder: Path) -> None:
    """Remove it with what an engine left mounted there: a killed one all, any one a netns."""
    for mount in reversed(Path("/proc/mounts").read_text().splitlines()):
        where = mount.split()[1]
        if where.startswith(f"{folder}/"):
            subprocess.run(["umount", "--lazy", where], capture_output=True, check=False)
    shutil.rmtree(folder, ignore_errors=True)


def log_tail(lines: int = 15) -> str:
    """The last lines of the engine's log."""
    with contextlib.suppress(OSError):
        return "\n".join(log_path().read_text(errors="replace").splitlines()[-lines:])
    return "(it wrote no log)"


def ensure_installed(asked: list[str], say: Say = quiet) -> None:
    """Install what an engine takes from the system's packages, where it is missing.

    Args:
        asked: addresses at which no engine answered, for the message.
        say: told of every step that takes time.

    Raises:
        EngineError: it cannot be installed here; the message says why and what to do.
    """
    if shutil.which("dockerd") and shutil.which("ip") and shutil.which("iptables"):
        if os.geteuid() != 0:
            raise EngineError(_no_engine(asked, "starting one takes root"))
        return
    if os.geteuid() != 0:
        raise EngineError(_no_engine(asked, "installing one takes root"))
    if not shutil.which("apt-get"):
        raise EngineError(_no_engine(asked, "Dockyard can install one on Debian and Ubuntu only"))
    say("Installing Docker from the system's packages (docker.io)")
    if reason := apt.install(*PACKAGES):
        raise EngineError(_no_engine(asked, f"installing docker.io failed: {reason}"))


def _no_engine(asked: list[str], why: str) -> str:
    places = ", ".join(asked) or "DOCKER_HOST, the docker context, the usual sockets"
    return (
        f"No Docker engine answers (looked at: {places}), and {why}. "
        "Install and start Docker (docs/hosts.md), or set DOCKER_HOST to an engine that runs."
    )


def _start() -> "subprocess.Popen[bytes]":
    data_dir().mkdir(parents=True, exist_ok=True)
    run_dir().mkdir(mode=0o700, parents=True, exist_ok=True)
    # What a killed dockerd leaves would stop the next one: process ids that it believes in,
    # and a containerd for which it waits in vain.
    _stop_orphan("containerd", _containerd_pid_file())
    for stale in (run_dir() / "docker.pid", _containerd_pid_file()):
        stale.unlink(missing_ok=True)
    pool = bridge.ensure()
    command = [
        "dockerd",
        f"--data-root={data_dir() / 'data'}",
        f"--exec-root={run_dir() / 'exec'}",
        f"--pidfile={run_dir() / 'docker.pid'}",
        f"--host=unix://{socket_path()}",
        f"--bridge={bridge.name()}",
        "--iptables=false",  # the bridge has its own rules
        # Small networks, so that a room of labs fits: 128 instead of Docker's 31.
        f"--default-address-pool=base={pool},size=24",
    ]
    with log_path().open("ab") as log:
        # A session of its own: Ctrl-C in the learner's terminal must not end the engine.
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )


def _containerd_pid_file() -> Path:
    return run_dir() / "exec" / "containerd" / "containerd.pid"


def _process_id() -> int | None:
    return _own_process("dockerd", run_dir() / "docker.pid")


def _own_process(program: str, pid_file: Path) -> int | None:
    """The process that *pid_file* names, if it still is that program of ours."""
    with contextlib.suppress(OSError, ValueError):
        pid = int(pid_file.read_text())
        command = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        if program in command and str(run_dir()) in command and state != "Z":
            return pid
    return None


def _stop_orphan(program: str, pid_file: Path) -> None:
    """End a helper that a killed dockerd left behind."""
    for signal_number in (signal.SIGTERM, signal.SIGKILL):
        if pid := _own_process(program, pid_file):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal_number)
            with contextlib.suppress(TimeoutError):
                wait_until(lambda: not _own_process(program, pid_file), 10, program)


@contextlib.contextmanager
def _only_one_at_a_time() -> Iterator[None]:
    """Two commands that find no engine must not start two."""
    data_dir().mkdir(parents=True, exist_ok=True)
    with locked(data_dir() / "lock"):
        yield
