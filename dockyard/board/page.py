"""The board's page, and what it is told over a websocket. On loopback only, with a token."""

import hmac
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from socket import socket
from typing import Any

import msgspec
from tornado.httpserver import HTTPServer
from tornado.web import Application, HTTPError, RequestHandler
from tornado.websocket import WebSocketClosedError, WebSocketHandler

from dockyard.board.roll import Cell, Roll
from dockyard.course import Exercise
from dockyard.grading import Criterion

ASSETS = Path(__file__).parent / "assets"
#: What all our pages' scripts begin with.
SHARED = ASSETS.parents[1] / "screen" / "assets" / "make.js"
KINDS = {"board.html": "text/html", "board.js": "text/javascript", "board.css": "text/css"}
#: Bytes of what a page may ask.
MOST_ASKED = 2**14

Course = list[tuple[Exercise, list[Criterion]]]
#: Learner and exercise; without the latter, a learner is gone.
Changed = list[tuple[str, str]]


class Asked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What somebody clicks: help is there; or, without an exercise, who is to be forgotten.

    Without a learner, everybody is.
    """

    learner: str = ""
    exercise: str = ""


class Pages:
    """All pages that are open.

    Attributes:
        join: what learners in the room type, if the board listens to them.
    """

    def __init__(
        self,
        course: Course,
        roll: Roll,
        token: str,
        tell: Callable[[Changed], None],
    ) -> None:
        self.join = ""
        self._course, self._roll, self._token, self._tell = course, roll, token, tell
        self._open: set[_Live] = set()

    def serve(self, sockets: list[socket], port: int) -> None:
        """Answer on these sockets, which are loopback's."""
        own = [f"127.0.0.1:{port}", f"localhost:{port}"]
        given = {"pages": self, "own": own}
        routes: list[Any] = [
            (r"/(|board\.js|board\.css)", _File, given),
            (r"/live", _Live, given),
        ]
        app = Application(routes, log_function=lambda _: None, websocket_ping_interval=20)
        HTTPServer(app, max_body_size=MOST_ASKED).add_sockets(sockets)

    def knows(self, token: str) -> bool:
        return hmac.compare_digest(token.encode(), self._token.encode())

    def came(self, live: "_Live") -> None:
        """A page was opened: it gets all that there is."""
        exercises = [
            {
                "id": exercise.id,
                "title": exercise.title,
                "tasks": {task.id: task.title for task in exercise.tasks},
                "criteria": known,
            }
            for exercise, known in self._course
        ]
        words = msgspec.toml.decode((ASSETS / "words.toml").read_bytes())
        rows = self._roll.rows.items()
        cells = [(label, id_, cell) for label, row in rows for id_, cell in row.cells.items()]
        whole = {"words": words, "join": self.join, "exercises": exercises, "cells": cells}
        live.show(msgspec.json.encode(whole).decode())
        self._open.add(live)

    def went(self, live: "_Live") -> None:
        self._open.discard(live)

    def asked(self, what: Asked) -> None:
        if what.exercise:
            self._tell(self._roll.helped(what.learner, what.exercise))
        else:
            self._tell(self._roll.forget([what.learner] if what.learner else [*self._roll.rows]))

    def show(self, changed: Iterable[tuple[str, str]]) -> None:
        """Tell all pages; a cell of nothing is one of a learner who is gone."""
        cells: list[tuple[str, str, Cell | None]] = []
        for label, exercise in changed:
            row = self._roll.rows.get(label)
            cells.append((label, exercise, row.cells.get(exercise) if row else None))
        message = msgspec.json.encode({"cells": cells}).decode()
        for live in [*self._open]:
            live.show(message)


class _Own(RequestHandler):
    """Only for who calls us by our own name: another site's may lead to loopback, too."""

    def initialize(self, pages: Pages, own: list[str]) -> None:
        self._pages, self._own = pages, own

    def prepare(self) -> None:
        if self.request.host not in self._own:
            raise HTTPError(403)
        live = " ".join(f"ws://{each}" for each in self._own)
        self.set_header(
            "Content-Security-Policy",
            f"default-src 'none'; script-src 'self'; style-src 'self'; connect-src {live}; "
            "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        )
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Referrer-Policy", "no-referrer")
        self.set_header("Cache-Control", "no-store")

    def has_token(self) -> bool:
        return self._pages.knows(self.get_query_argument("token", ""))


class _File(_Own):
    def get(self, name: str) -> None:
        if not name and not self.has_token():
            self.set_status(403)
            self.finish("This page takes the whole link that `dockyard board` has printed.\n")
            return
        name = name or "board.html"
        self.set_header("Content-Type", f"{KINDS[name]}; charset=utf-8")
        if name == "board.js":
            self.write(SHARED.read_bytes())
        self.finish((ASSETS / name).read_bytes())


class _Live(_Own, WebSocketHandler):
    """One page. tornado lets in only pages of our own origin (`check_origin`)."""

    def prepare(self) -> None:
        super().prepare()
        if not self.has_token():
            raise HTTPError(403)

    def open(self, *_: str, **__: str) -> None:
        self._pages.came(self)

    def on_message(self, message: str | bytes) -> None:
        with suppress(msgspec.MsgspecError):
            self._pages.asked(msgspec.json.decode(message, type=Asked))

    def on_close(self) -> None:
        self._pages.went(self)

    def show(self, message: str) -> None:
        with suppress(WebSocketClosedError):
            self.write_message(message)
