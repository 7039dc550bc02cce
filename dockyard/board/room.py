"""The board's ear in the room: machines there may send letters, and read nothing."""

import ssl
from collections.abc import Callable
from time import monotonic
from typing import Any

from tornado.httpserver import HTTPServer
from tornado.iostream import IOStream
from tornado.web import Application, HTTPError, RequestHandler

from dockyard.board.agreement import PATH
from dockyard.board.news import MOST_BYTES

#: Letters that one address may send at once, and each second from then on; and how many
#: connections it may hold, each for so many seconds without a word.
AT_ONCE, EACH_SECOND, CONNECTIONS, SILENCE = 300, 30, 150, 10


class Server(HTTPServer):
    """HTTP over TLS, in which nobody takes more than a fair share.

    tornado makes its servers without calling __init__, and calls `initialize` instead.
    """

    def initialize(self, application: Application, context: ssl.SSLContext) -> None:  # type: ignore[override]
        super().initialize(
            application,
            ssl_options=context,
            max_body_size=MOST_BYTES,
            max_header_size=2**13,
            idle_connection_timeout=SILENCE,
            body_timeout=SILENCE,
        )
        self._open: list[tuple[str, IOStream]] = []

    def handle_stream(self, stream: IOStream, address: tuple[Any, ...]) -> None:
        self._open = [each for each in self._open if not each[1].closed()]
        if sum(host == address[0] for host, _ in self._open) >= CONNECTIONS:
            stream.close()
            return
        self._open.append((address[0], stream))
        super().handle_stream(stream, address)


class Fairness:
    """How many letters each address has left: a bucket that fills again by and by."""

    def __init__(self) -> None:
        self._left: dict[str, tuple[float, float]] = {}

    def allows(self, address: str) -> bool:
        left, then = self._left.get(address, (AT_ONCE, 0.0))
        now = monotonic()
        left = min(AT_ONCE, left + (now - then) * EACH_SECOND)
        self._left[address] = (left - 1 if left >= 1 else left, now)
        return left >= 1


def application(hear: Callable[[bytes, str], bool]) -> Application:
    """What answers to the room: one path, one verb, and a status without a word.

    Args:
        hear: takes a letter and its sender's address; whether it was one.
    """
    given = {"hear": hear, "fairness": Fairness()}
    return Application(
        [(PATH, _Ear, given)], default_handler_class=_Nothing, log_function=lambda _: None
    )


class _Silent(RequestHandler):
    def set_default_headers(self) -> None:
        self.clear_header("Server")

    def write_error(self, status_code: int, **_: Any) -> None:  # noqa: ARG002 (it says all)
        self.finish()


class _Nothing(_Silent):
    def prepare(self) -> None:
        raise HTTPError(404)


class _Ear(_Silent):
    def initialize(self, hear: Callable[[bytes, str], bool], fairness: Fairness) -> None:
        self._hear, self._fairness = hear, fairness

    def post(self) -> None:
        address = str(self.request.remote_ip)
        if not self._fairness.allows(address):
            self.set_status(429)
        elif not self._hear(self.request.body, address):
            self.set_status(400)
        else:
            self.set_status(204)
