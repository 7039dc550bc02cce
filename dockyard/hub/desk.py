"""The hub's desk: keeps the labs of all places on the machine's engine.

A service of the hub. It knows a learner by the token of the place, and gives each the labs of
that learner only. What a place may ask is what a keeper can be asked (dockyard.keeper); no call
of an engine passes through.
"""

import asyncio
import os
import signal
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import msgspec
from docker.errors import DockerException
from jupyterhub.services.auth import HubAuth
from requests.exceptions import RequestException
from tornado.ioloop import PeriodicCallback
from tornado.iostream import StreamClosedError
from tornado.web import Application, RequestHandler

from dockyard import checker, engine, keeping
from dockyard.errors import DockyardError, reason
from dockyard.hub.protocol import Ask, Line
from dockyard.hub.verbs import VERBS, Call, Left

#: Calls of one learner at once: a panel, a picture and a few cells take ten.
MOST_CALLS = 32
#: Calls at once in all; those of 60 learners.
MOST_THREADS = 60 * MOST_CALLS
#: Bytes of a question; seconds in which it comes, and for which a connection waits for one.
MOST_BYTES, PATIENCE, IDLE = 4096, 10, 60
#: Seconds between two signs of life on a call that takes long.
BEAT = 20
#: Seconds for which a token is believed in without asking the hub.
TRUST = 30

_calls: Counter[str] = Counter()


class _Answer(RequestHandler):
    """One call: lines of JSON as they come."""

    def initialize(self, auth: HubAuth, keeper: keeping.Engine, pool: ThreadPoolExecutor) -> None:
        self._auth, self._keeper, self._pool = auth, keeper, pool
        self._call: Call | None = None

    async def post(self, verb: str) -> None:
        learner = await self._learner()
        if learner is None:
            self.set_status(403)
            self.write(_line(Line(error="The hub does not know this token.", kind="LabError")))
            return
        if _calls[learner] >= MOST_CALLS:
            self.write(_line(Line(error="You ask too much at once.", kind="LabError")))
            return
        _calls[learner] += 1
        try:
            await self._serve(verb, learner)
        finally:
            _calls[learner] -= 1
            if not _calls[learner]:
                del _calls[learner]

    async def _learner(self) -> str | None:
        kind, _, token = self.request.headers.get("Authorization", "").partition(" ")
        if kind != "token" or not token:
            return None
        loop = asyncio.get_running_loop()
        user = await loop.run_in_executor(self._pool, self._auth.user_for_token, token)
        return str(user["name"]) if user and user.get("kind") == "user" else None

    async def _serve(self, verb: str, learner: str) -> None:
        loop = asyncio.get_running_loop()
        lines: asyncio.Queue[Line | None] = asyncio.Queue()

        def tell(line: Line | None) -> None:
            loop.call_soon_threadsafe(lines.put_nowait, line)

        self._call = call = Call(self._keeper, learner, tell)
        work = loop.run_in_executor(self._pool, _run, verb, self.request.body, call)
        work.add_done_callback(lambda _: tell(None))
        with suppress(StreamClosedError):
            while True:
                try:
                    line = await asyncio.wait_for(lines.get(), BEAT)
                except TimeoutError:
                    self.write("\n")
                else:
                    if line is None:
                        break
                    self.write(_line(line))
                await self.flush()
        call.leave()
        await work

    def on_connection_close(self) -> None:
        if self._call:
            self._call.leave()


def _line(line: Line) -> bytes:
    return msgspec.json.encode(line) + b"\n"


def _run(verb: str, body: bytes, call: Call) -> None:
    """In a thread: what was asked, to its end."""
    with suppress(Left):
        call.tell(_last_line(verb, body, call))


def _last_line(verb: str, body: bytes, call: Call) -> Line:
    if verb not in VERBS:
        return Line(error=f'The desk knows no "{verb}".', kind="UnknownName")
    try:
        value = VERBS[verb](call, msgspec.json.decode(body, type=Ask))
        return Line(value=msgspec.Raw(msgspec.json.encode(value)))
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        return Line(error=f"The desk does not understand: {error}.", kind="LabError")
    except DockyardError as error:
        return Line(error=str(error), kind=type(error).__name__)
    except (DockerException, RequestException, OSError) as error:
        return Line(error=reason(error), kind="LabError")


def serve(address: str, port: int) -> None:
    """Serve until the hub ends."""
    asyncio.run(_serve(address, port))


async def _serve(address: str, port: int) -> None:
    auth = HubAuth(cache_max_age=TRUST)
    keeper = keeping.Engine(engine.connect())
    pool = ThreadPoolExecutor(max_workers=MOST_THREADS)
    route = (r"/(\w+)", _Answer, {"auth": auth, "keeper": keeper, "pool": pool})
    app = Application([route], log_function=_quiet)
    app.listen(
        port,
        address,
        max_body_size=MOST_BYTES,
        body_timeout=PATIENCE,
        idle_connection_timeout=IDLE,
    )
    ended, hub = asyncio.Event(), os.getppid()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    PeriodicCallback(lambda: ended.set() if os.getppid() != hub else None, 1000).start()
    await ended.wait()
    checker.stop()  # what checks have taken away, they put back
    os._exit(0)  # other calls that still wait have nobody who hears them


def _quiet(handler: Any) -> None:
    """The hub's own log tells who came; errors are told to who asked."""


if __name__ == "__main__":
    serve(os.environ["DOCKYARD_DESK_ADDRESS"], int(os.environ["DOCKYARD_DESK_PORT"]))
