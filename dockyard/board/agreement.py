"""With which board a machine shares, as its owner said (`dockyard share`)."""

import re
import secrets
from hashlib import sha256
from http.client import HTTPException

import msgspec

from dockyard import pinned
from dockyard.board import news, places
from dockyard.errors import UnknownName

FILE = "sharing.json"
#: Seconds for each thing that a board in the room is waited for.
PATIENCE = 1.0
#: The one path at which a board listens to the room.
PATH = "/news"


class Agreement(msgspec.Struct, frozen=True):
    """A board in the room, and what makes this machine's letters its own."""

    host: str
    port: int
    pin: str
    secret: str

    @property
    def address(self) -> str:
        """As a board prints it."""
        return f"{self.host}:{self.port}@{self.pin}"

    @property
    def sender(self) -> str:
        """By this the board knows this machine again; another board gets another."""
        return sha256(f"{self.secret}{self.pin}".encode()).hexdigest()[:32]


def read() -> Agreement | None:
    """What was agreed to, if anything."""
    try:
        return msgspec.json.decode(places.kept(FILE), type=Agreement)
    except msgspec.MsgspecError:  # there is none
        return None


def in_words(agreed: Agreement, learner: str) -> str:
    """What a learner has agreed to."""
    return (
        f'You share with the board at "{agreed.host}:{agreed.port}". Each check tells it your name '
        f'("{learner}"), the exercise, and of each criterion whether it is met, what was expected '
        "and what was found; so does asking for help. No files, nothing else, and nothing comes "
        "back. `dockyard share --stop` ends it."
    )


def deliver(agreed: Agreement, what: news.News) -> int:
    """Send news to a board.

    Returns:
        The status that it answers with: it says nothing else.

    Raises:
        OSError, HTTPException: it does not answer, or somebody else does.
    """
    connection = pinned.connect(agreed.host, agreed.port, agreed.pin, PATIENCE)
    try:
        connection.request("POST", PATH, news.encode(agreed.sender, what))
        return connection.getresponse().status
    finally:
        connection.close()


def agree(address: str) -> tuple[Agreement, bool]:
    """Share with the board at *address* from now on.

    Returns:
        The agreement, and whether the board answers now.

    Raises:
        UnknownName: that is no board's address, or somebody else answers there.
    """
    told = re.fullmatch(r"([\w.-]+):(\d{1,5})@(sha256//[A-Za-z0-9+/]{43}=)", address)
    if not told:
        raise UnknownName(
            f'"{address}" is no board\'s address. Take the whole line that the board shows: '
            "dockyard share IP:PORT@sha256//…"
        )
    own = places.kept(places.KEY)
    if own and pinned.pin_of(own) == told[3]:
        raise UnknownName("That is this machine's own board: it hears without being told.")
    before = read()
    secret = before.secret if before else secrets.token_hex(16)
    agreed = Agreement(told[1], int(told[2]), told[3], secret)
    answers = _answers(agreed)
    places.keep(FILE, msgspec.json.encode(agreed))
    return agreed, answers


def _answers(agreed: Agreement) -> bool:
    try:
        pinned.connect(agreed.host, agreed.port, agreed.pin, PATIENCE).close()
    except pinned.OtherKey as error:
        raise UnknownName(f"{error}: it is not that board. Ask for its line again.") from None
    except (OSError, HTTPException):
        return False
    return True


def end(agreed: Agreement) -> bool:
    """Share no longer.

    Returns:
        Whether the board has heard it, and has forgotten what it was told.
    """
    (places.folder() / FILE).unlink(missing_ok=True)
    try:
        return deliver(agreed, news.Gone()) < 300
    except (OSError, HTTPException):
        return False
