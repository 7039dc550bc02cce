"""JupyterLab as learners start it, and a Chromium to look at it.

The browser is in a network of its own, from which only this machine's loopback can be reached.

Chromium breaks off what it loads whenever an address comes or goes on the machine
(ERR_NETWORK_CHANGED), and labs come and go all the time while tests run. And so nothing that it
shows can have come from the internet.
"""

import ctypes
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from selectors import EVENT_READ, DefaultSelector
from threading import Thread
from typing import NamedTuple

from playwright.sync_api import Browser, sync_playwright

from dockyard import settings
from dockyard.errors import LabError

CLONE_NEWNET = 0x40000000


class Site(NamedTuple):
    """A JupyterLab that runs."""

    address: str
    token: str

    def url(self, path: str) -> str:
        return f"{self.address}/{path}{'&' if '?' in path else '?'}token={self.token}"


@contextmanager
def jupyterlab(kit: Path, learner: str) -> Iterator[Site]:
    """What `make lab` starts, in a learners' kit that is made for it.

    Args:
        kit: a folder that is not there yet.
        learner: whose labs are opened.
    """
    dockyard = [sys.executable, "-m", "dockyard"]
    subprocess.run([*dockyard, "release", str(kit)], check=True, capture_output=True)
    own = {"DOCKYARD_COURSE": str(kit), "JUPYTERHUB_USER": learner}
    own["DOCKYARD_STATE"] = str(settings.state_dir())
    own["JUPYTER_CONFIG_DIR"] = str(kit / ".jupyter")  # a person's themes and settings are theirs
    server = subprocess.Popen(
        [*dockyard, "lab"],
        env={**os.environ, **own},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert server.stdout
    try:
        said = (re.search(r"Open (.*)/lab/.*token=(\w+)", line) for line in server.stdout)
        found = next(filter(None, said))
        Thread(target=server.stdout.read, daemon=True).start()  # a full pipe would stop it
        yield Site(found[1], found[2])
    finally:
        server.terminate()
        server.wait()


@contextmanager
def chromium(folder: Path) -> Iterator[Browser]:
    """A browser, without a window; takes root, for its network.

    Args:
        folder: an empty one.

    Raises:
        LabError: this machine cannot have one.
    """
    found = shutil.which("chromium")
    if not found or os.geteuid():
        raise LabError("No Chromium here, or no root to give it a network of its own.")
    with _network() as (holder, proxy):
        program = folder / "chromium"
        program.write_text(f'#!/bin/sh\nexec nsenter --net=/proc/{holder}/ns/net {found} "$@"\n')
        program.chmod(0o755)
        arguments = [f"--proxy-server=socks5://127.0.0.1:{proxy}"]
        arguments += ["--proxy-bypass-list=<-loopback>", "--no-sandbox"]  # which root cannot have
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=program, args=arguments)
            yield browser
            browser.close()


@contextmanager
def _network() -> Iterator[tuple[int, int]]:
    """The id of a process in a network namespace of its own, and a proxy's port there."""
    holder = subprocess.Popen(
        ["unshare", "--net", "sh", "-c", "ip link set lo up && echo up && exec cat"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert holder.stdin
    assert holder.stdout
    try:
        assert holder.stdout.readline() == b"up\n"
        with _listening_in(holder.pid) as listening:
            Thread(target=_serve, args=[listening], daemon=True).start()
            yield holder.pid, listening.getsockname()[1]
    finally:
        holder.stdin.close()
        holder.wait()


def _listening_in(process: int) -> socket.socket:
    """A socket belongs to the network in which it was made, whoever uses it afterwards."""
    made: list[socket.socket] = []

    def make() -> None:
        namespace = os.open(f"/proc/{process}/ns/net", os.O_RDONLY)
        if ctypes.CDLL(None, use_errno=True).setns(namespace, CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns")
        made.append(socket.create_server(("127.0.0.1", 0)))

    thread = Thread(target=make)  # a namespace is a thread's: this one ends with it
    thread.start()
    thread.join()
    return made[0]


def _serve(listening: socket.socket) -> None:
    with suppress(OSError):  # closed
        while True:
            Thread(target=_connect, args=[listening.accept()[0]], daemon=True).start()


def _connect(client: socket.socket) -> None:
    """One connection by SOCKS 5 (RFC 1928), to this machine only."""
    with closing(client), suppress(OSError, ValueError):
        _, count = client.recv(2)
        client.recv(count)
        client.sendall(b"\5\0")
        _, _, _, kind = client.recv(4)
        host = client.recv(4 if kind == 1 else client.recv(1)[0])
        port = int.from_bytes(client.recv(2), "big")
        ours = host in (b"\x7f\0\0\1", b"127.0.0.1", b"localhost")
        client.sendall(b"\5" + (b"\0" if ours else b"\2") + b"\0\1" + bytes(6))
        if ours:
            with socket.create_connection(("127.0.0.1", port)) as server:
                _pass_on(client, server)


def _pass_on(one: socket.socket, other: socket.socket) -> None:
    with DefaultSelector() as selector:
        selector.register(one, EVENT_READ, (one, other))
        selector.register(other, EVENT_READ, (other, one))
        while True:
            for key, _ in selector.select():
                source, target = key.data
                data = source.recv(65536)
                if not data:
                    return
                target.sendall(data)
