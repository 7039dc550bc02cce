"""Runs a hub until Ctrl-C: what it needs is made first, its places are gone afterwards."""

import asyncio
import os
import secrets
import signal
import ssl
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import docker

from dockyard import engine as engines
from dockyard import images, pinned
from dockyard.alone import locked
from dockyard.doctor.machine import is_here
from dockyard.engine import Endpoint
from dockyard.errors import DockyardError
from dockyard.hub import places, proxy
from dockyard.hub.proxy import Door
from dockyard.hub.room import WORD
from dockyard.lab import LAB_MARK, free_ports, is_port_free
from dockyard.plural import counted
from dockyard.settings import Say, patience

START_TIMEOUT, STOP_TIMEOUT = 90, 60  # seconds
CONFIG = Path(__file__).parent / "jupyterhub_config.py"
#: Labs that a learner may have at once, unless DOCKYARD_LABS_EACH says otherwise.
LABS_EACH = "2"


def run(address: str, port: int, say: Say) -> int:
    """Run a hub until it is told to end.

    Args:
        address: of this machine, on the room's network; none for this machine alone.
        port: where learners come in.

    Returns:
        0, once it has ended.

    Raises:
        DockyardError: one runs already, it does not come up, or the engine is elsewhere.
        UnknownName: this machine has no such address.
    """
    if address:
        pinned.own_address(address)
    with only_one() as lock:
        endpoint = engines.find(say)
        engine = endpoint.client(engines.CALL_TIMEOUT)
        if not is_here(engine.info()):
            raise DockyardError("A hub needs an engine on the machine on which it runs.")
        if left := places.remove_all(engine):
            say(f"Removed {counted(left, 'place')} of an earlier hub; homes stay")
        if not is_port_free(port, *filter(None, [address])):
            raise DockyardError(f"Another program uses port {port}. Name another one: --port.")
        kit = _prepare(engine, say)
        variables = _variables(endpoint, engine) | {places.KIT: kit, WORD: secrets.token_hex(4)}
        try:
            proxy.start(engine, Door(address, port), variables)
            return asyncio.run(_run(variables, lock, Door(address, port), say))
        finally:
            places.remove_all(engine)


def _prepare(engine: docker.DockerClient, say: Say) -> str:
    """Make all that learners will need, so that none of them waits for it; returns the kit."""
    images.ensure_labs(engine, places.IMAGE, proxy.IMAGE, say=say)
    say("Making the learners' kit")
    return places.ensure_kit(engine)


def _variables(endpoint: Endpoint, engine: docker.DockerClient) -> dict[str, str]:
    """What JupyterHub, its spawner and the desk need to know."""
    others = {name: value for name, value in os.environ.items() if name != LAB_MARK}
    bridge = engine.networks.get("bridge").attrs["IPAM"]["Config"][0]
    found = {"DOCKER_HOST": endpoint.url, "DOCKYARD_ENGINE_HOST": endpoint.url}
    for prefix in ("DOCKER_", "DOCKYARD_ENGINE_"):
        for name in ("CERT_PATH", "TLS_VERIFY"):
            others.pop(prefix + name, None)
        if endpoint.cert_path:
            found |= {f"{prefix}CERT_PATH": endpoint.cert_path, f"{prefix}TLS_VERIFY": "1"}
    return {
        **others,
        **found,
        places.INSIDE: bridge["Gateway"],
        places.PORTS: " ".join(map(str, free_ports(3))),
        places.TOKEN: secrets.token_hex(32),
        "DOCKYARD_LABS_EACH": os.environ.get("DOCKYARD_LABS_EACH") or LABS_EACH,
    }


async def _run(variables: dict[str, str], lock: IO[str], door: Door, say: Say) -> int:
    say("Starting JupyterHub")
    with (places.state() / "jupyterhub.log").open("ab") as log:
        hub = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "jupyterhub", "--config", str(CONFIG),
            cwd=places.state(), env=variables, stdin=asyncio.subprocess.DEVNULL, stdout=log,
            stderr=log, start_new_session=True, pass_fds=[lock.fileno()],
        )  # fmt: skip
    lock.write(f"{hub.pid}\n")
    lock.flush()
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    asked, ended = asyncio.create_task(stop.wait()), asyncio.create_task(hub.wait())
    try:
        await _until_up(door, asked, ended)
        if not ended.done() and not asked.done():
            _welcome(door, variables[WORD], say)
        await asyncio.wait([asked, ended], return_when=asyncio.FIRST_COMPLETED)
        if ended.done():
            raise DockyardError(f"JupyterHub has ended by itself. {_end_of_log()}")
        say("Ending JupyterHub")
        return 0
    finally:
        await _end(hub, ended)


def _welcome(door: Door, word: str, say: Say) -> None:
    if door.address:
        pin = pinned.pin_of(door.pem.read_bytes())
        say(f"Browsers ask whether they may trust it. Its certificate has the key {pin}")
    say(f"Open {door.url}")
    say(f"The room's word, for whoever signs in for the first time: {word}")
    say("Ctrl-C ends it. Learners' files and labs stay.")


async def _until_up(door: Door, *ends: "asyncio.Task[Any]") -> None:
    """Wait until the door leads to a hub that answers, or one of *ends* is done."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # it is ours
    host, port = door.address or "127.0.0.1", door.port
    deadline = asyncio.get_running_loop().time() + START_TIMEOUT * patience()
    while not any(each.done() for each in ends):
        with suppress(OSError):
            reader, writer = await asyncio.open_connection(
                host, port, ssl=context if door.address else None
            )
            writer.write(b"GET /hub/health HTTP/1.0\r\n\r\n")
            answer = await reader.readline()
            writer.close()
            if b" 200 " in answer:
                return
        if asyncio.get_running_loop().time() > deadline:
            raise DockyardError(f"JupyterHub did not answer in {START_TIMEOUT} s. {_end_of_log()}")
        await asyncio.wait(ends, timeout=0.2, return_when=asyncio.FIRST_COMPLETED)


async def _end(hub: asyncio.subprocess.Process, ended: "asyncio.Task[int]") -> None:
    """End JupyterHub, with its proxy and desk."""
    if not ended.done():
        hub.terminate()
        await asyncio.wait([ended], timeout=STOP_TIMEOUT)
    with suppress(ProcessLookupError):
        os.killpg(hub.pid, signal.SIGKILL)
    await ended


def _end_of_log() -> str:
    lines = (places.state() / "jupyterhub.log").read_text(errors="replace").splitlines()[-8:]
    return "The end of its log:\n" + "\n".join(lines)


@contextmanager
def only_one() -> Iterator[IO[str]]:
    """The lock that JupyterHub holds as long as it lives, whatever becomes of us.

    Raises:
        DockyardError: one lives.
    """
    path = places.state() / "lock"
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)

    def refuse() -> DockyardError:
        return DockyardError(
            f"A hub runs already (process {path.read_text().strip() or 'unknown'}). "
            "End it with Ctrl-C where it runs, or kill that process."
        )

    with locked(path, refuse) as lock:
        lock.truncate(0)
        yield lock
