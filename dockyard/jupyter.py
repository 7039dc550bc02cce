"""Opens JupyterLab: loopback only, with its token."""

import os
import secrets
import signal
import socket
import subprocess
import sys
from pathlib import Path

import msgspec
from jupyter_core.paths import jupyter_config_dir, jupyter_runtime_dir

from dockyard import settings
from dockyard.errors import DockyardError
from dockyard.settings import Say
from dockyard.waiting import wait_until

DEFAULT_PORT = 8888
SETTINGS = Path(__file__).parent / "screen" / "jupyter"
START_TIMEOUT = 90  # seconds; the first import on a slow disk takes long


def arguments() -> list[str]:
    """What a server of this course is told, here or behind a JupyterHub."""
    # Ours, and whoever has one of their own.
    styles = [str(SETTINGS / "custom"), str(Path(jupyter_config_dir(), "custom"))]
    shell = os.environ.get("SHELL") or "sh"
    return [
        f"--ServerApp.root_dir={settings.course_dir()}",
        f"--ServerApp.default_url=/{_first_page()}",
        "--LabApp.expose_app_in_browser=True",  # the lab's picture opens terminals
        "--LabApp.custom_css=True",
        f"--ServerApp.tornado_settings={ {'static_custom_path': styles} }",
        # No login shell, which is what terminals have otherwise: it would forget our PATH.
        f"--ServerApp.terminado_settings={ {'shell_command': [shell]} }",
    ]


def environment() -> dict[str, str]:
    """Where programs and settings are looked for: first among ours."""
    ours = {
        "PATH": Path(sys.executable).parent,  # `dockyard`, for terminals and `!` lines
        "JUPYTER_CONFIG_PATH": SETTINGS,  # asks for no news
    }
    return {
        name: os.pathsep.join(filter(None, [str(path), os.environ.get(name)]))
        for name, path in ours.items()
    }


def run(say: Say) -> int:
    """Run JupyterLab until it ends; returns its exit status.

    Raises:
        DockyardError: it does not come up.
    """
    page = _first_page()
    token = os.environ.get("JUPYTER_TOKEN") or secrets.token_hex(16)
    options = [
        *arguments(),
        "--ServerApp.ip=127.0.0.1",
        f"--ServerApp.port={DEFAULT_PORT}",  # or one that is free
        "--ServerApp.log_level=ERROR",
        f"--ServerApp.open_browser={bool(os.environ.get('DISPLAY')) and sys.stdout.isatty()}",
    ]
    if os.geteuid() == 0:
        options.append("--allow-root")
    say("Starting JupyterLab")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # it must not outlive us
    # The token goes through the environment: a command line can be read by everybody.
    server = subprocess.Popen(
        [sys.executable, "-m", "jupyterlab", *options],
        cwd=settings.course_dir(),
        env={**os.environ, "JUPYTER_TOKEN": token, **environment()},
    )
    try:
        port = wait_until(lambda: server.poll() is not None or _port(server.pid), START_TIMEOUT)
        if server.poll() is None:
            say(f"Open http://127.0.0.1:{port}/{page}?token={token}")
            say("Ctrl-C ends it. Labs stay up; `make reset` brings them back to the start.")
        return server.wait()
    except TimeoutError:
        raise DockyardError(f"JupyterLab did not answer in {START_TIMEOUT} s.") from None
    except KeyboardInterrupt:
        return 0
    finally:
        server.terminate()
        server.wait()


def _first_page() -> str:
    """The course's start page, or else its first tutorial."""
    folder = settings.course_dir() / "notebooks"
    notebooks = [*folder.glob("start.ipynb"), *sorted(folder.glob("*.ipynb"))]
    return f"lab/tree/notebooks/{notebooks[0].name}" if notebooks else "lab"


def _port(pid: int) -> int:
    """Where the server listens, as it says itself once it does; 0 before."""
    told = Path(jupyter_runtime_dir(), f"jpserver-{pid}.json")
    try:
        port = int(msgspec.json.decode(told.read_bytes())["port"])
    except (OSError, msgspec.DecodeError):  # not there yet, or half-written
        return 0
    with socket.socket() as probe:
        return port if probe.connect_ex(("127.0.0.1", port)) == 0 else 0
