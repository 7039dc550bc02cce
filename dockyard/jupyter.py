"""Opens JupyterLab: loopback only, with its token."""

import os
import secrets
import socket
import sys

from dockyard import settings
from dockyard.settings import Say

DEFAULT_PORT = 8888
FIRST_PAGE = "lab/tree/notebooks/02_clustering.ipynb"


def run(say: Say) -> None:
    """Become JupyterLab; returns only where that fails."""
    port = _free_port()
    token = os.environ.get("JUPYTER_TOKEN") or secrets.token_hex(16)
    say(f"JupyterLab: http://127.0.0.1:{port}/{FIRST_PAGE}?token={token}")
    say("End it with Ctrl-C. Labs stay up; `make reset` brings them back to the start.")
    arguments = [
        "--ServerApp.ip=127.0.0.1",
        f"--ServerApp.port={port}",
        f"--ServerApp.root_dir={settings.course_dir()}",
        f"--ServerApp.default_url=/{FIRST_PAGE}",
        "--ServerApp.log_level=ERROR",
        f"--ServerApp.open_browser={bool(os.environ.get('DISPLAY')) and sys.stdout.isatty()}",
    ]
    if os.geteuid() == 0:
        arguments.append("--allow-root")
    # The token goes through the environment: a command line can be read by everybody.
    environment = {**os.environ, "JUPYTER_TOKEN": token}
    command = [sys.executable, "-m", "jupyterlab", *arguments]
    os.chdir(settings.course_dir())
    os.execve(sys.executable, command, environment)  # noqa: S606  # nothing of it is a person's


def _free_port() -> int:
    """8888, where people expect it, or any free one."""
    for port in (DEFAULT_PORT, 0):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise AssertionError("the system gives no port away")
