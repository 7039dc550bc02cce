"""A board that runs: its page on loopback, its ears on this machine and in the room."""

import asyncio
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from socket import socket

import msgspec
from tornado.netutil import bind_sockets

from dockyard import grading, pinned
from dockyard.alone import locked
from dockyard.board import news, page, places, room
from dockyard.board.roll import Roll, Row
from dockyard.course import Exercise, exercise_ids, load_exercise
from dockyard.errors import BoardError, CourseError
from dockyard.settings import Say

CLASS, LINK, LOCK = "class.json", "link", "lock"
#: Seconds for which changes are gathered before pages are told, and before they are kept.
SHOW, KEEP = 0.05, 1.0
#: Seconds that a teller on this machine has.
READ = 5.0


class Kept(msgspec.Struct, frozen=True):
    """What a board that is started again goes on with."""

    token: str
    rows: list[Row]


def serve(address: str, port: int, say: Say) -> None:
    """Run a board until Ctrl-C.

    Args:
        address: of this machine, on the room's network; nothing, where only this machine's
            checks are to be heard.
        port: of the page; the room's is the next one. 0 takes free ones.

    Raises:
        UnknownName: this machine has no such address.
        BoardError: a board of this installation runs already, or a port is taken.
    """
    if address:
        pinned.own_address(address)
    with _alone():
        own = _bound(port, "127.0.0.1")
        rooms = _bound(port and port + 1, address) if address else []
        board = Board([*_course(say)])
        asyncio.run(board.run(own, rooms, say))


@contextmanager
def _alone() -> Iterator[None]:
    """One board for each installation: what is told on this machine goes to one only."""
    places.folder().mkdir(mode=0o700, parents=True, exist_ok=True)

    def refuse() -> BoardError:
        link = places.kept(LINK).decode()
        return BoardError(f"A board of this installation runs already: {link}")

    (places.folder() / LOCK).touch(mode=0o600)
    with locked(places.folder() / LOCK, refuse):
        yield


def _course(say: Say) -> Iterator[tuple[Exercise, list[grading.Criterion]]]:
    for exercise in map(load_exercise, exercise_ids()):
        try:
            yield exercise, grading.criteria(exercise)
        except CourseError as error:
            say(f"{error} It is left out.")


class Board:
    """The class, the pages that show it, and what is on its way to them."""

    def __init__(self, course: page.Course) -> None:
        kept = _kept()
        self.roll = Roll({each.id: known for each, known in course}, kept.rows)
        # A page that is open goes on when its board is started again.
        self.token = kept.token if self.roll.rows else secrets.token_urlsafe(24)
        self.pages = page.Pages(course, self.roll, self.token, self.tell)
        self._changed: dict[tuple[str, str], None] = {}
        self._keeping = False

    async def run(self, own: list[socket], rooms: list[socket], say: Say) -> None:
        """Serve until cancelled.

        Args:
            own: what listens on loopback.
            rooms: what listens to the room, if anything does.
        """
        link = f"http://127.0.0.1:{_port(own)}/?token={self.token}"
        places.keep(LINK, link.encode())
        self.pages.serve(own, _port(own))
        if rooms:
            self._open_to(rooms)
        ears = await asyncio.start_unix_server(self._teller, sock=places.listening())
        say(f"The class at a glance: {link}")
        if rooms:
            say(f"Learners in the room share with it: {self.pages.join}")
        say("Ctrl-C ends it.")
        try:
            async with ears:
                await asyncio.Event().wait()
        finally:
            self._keep()

    def _open_to(self, rooms: list[socket]) -> None:
        address = rooms[0].getsockname()[0]
        pem = places.kept(places.KEY) or pinned.certificate(address)
        places.keep(places.KEY, pem)  # machines that share go on when the board is started again
        server = room.Server(room.application(self._letter), pinned.server_context(pem))
        server.add_sockets(rooms)
        self.pages.join = f"dockyard share {address}:{_port(rooms)}@{pinned.pin_of(pem)}"

    def tell(self, changed: list[tuple[str, str]]) -> None:
        """Bring changes to the pages and to the disk, several at once."""
        loop = asyncio.get_running_loop()
        if changed and not self._changed:
            loop.call_later(SHOW, self._show)
        self._changed |= dict.fromkeys(changed)
        if changed and not self._keeping:
            self._keeping = True
            loop.call_later(KEEP, self._keep)

    def _show(self) -> None:
        changed, self._changed = self._changed, {}
        self.pages.show(changed)

    def _keep(self) -> None:
        self._keeping = False
        kept = Kept(self.token, [*self.roll.rows.values()])
        with suppress(OSError):  # a full disk is no reason to show nothing
            places.keep(CLASS, msgspec.json.encode(kept))

    def _letter(self, body: bytes, address: str) -> bool:
        """Whether it is one, from the room."""
        try:
            letter = news.decode(body)
        except ValueError:
            return False
        if letter.sender == news.HERE:
            return False
        self.tell(self.roll.hear(letter, address))
        return True

    async def _teller(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Somebody on this machine."""
        # Cancelled: the board ends. Python 3.11 would print that as an error of this callback.
        with suppress(OSError, TimeoutError, ValueError, asyncio.CancelledError):
            async with asyncio.timeout(READ):
                body = b""
                while len(body) <= news.MOST_BYTES and (part := await reader.read(2**16)):
                    body += part
            if 0 < len(body) <= news.MOST_BYTES:
                letter = news.decode(body)
                self.tell(self.roll.hear(msgspec.structs.replace(letter, sender=news.HERE), ""))
        writer.close()


def _bound(port: int, address: str) -> list[socket]:
    try:
        return bind_sockets(port, address)
    except OSError as error:
        raise BoardError(
            f'Port "{port}" cannot be had ({error.strerror}). Name another one: '
            "dockyard board --port N"
        ) from None


def _port(sockets: list[socket]) -> int:
    return int(sockets[0].getsockname()[1])


def _kept() -> Kept:
    try:
        return msgspec.json.decode(places.kept(CLASS), type=Kept)
    except msgspec.MsgspecError:  # there is none, or another version's
        return Kept("", [])
