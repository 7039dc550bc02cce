"""Who may enter a hub: whoever knows the room's word, under a name of their own."""

import asyncio
import dbm
import os
from hmac import compare_digest
from typing import Any

from firstuseauthenticator import FirstUseAuthenticator

from dockyard.hub import places

WORD = "DOCKYARD_ROOM_WORD"
NEW = "Nobody has this name yet. To take it, give the room's word."
#: A name stands as it is in names of containers, and with an exercise's and a host's in a name on
#: a network, which ends after 63 characters.
MOST = 24
ODD = f"A name here is up to {MOST} of the letters a to z, digits, - and _. Choose another one."
#: What bcrypt takes; it fails at more.
MOST_BYTES = 72
LONG = f"Your password is too long. Choose one of at most {MOST_BYTES} letters."


class Room(FirstUseAuthenticator):  # type: ignore[misc]
    """A name, and a password that whoever comes first under it chooses; for that, the word."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.dbm_path = str(places.state() / "passwords")
        self.request_otp = True
        self.otp_prompt = "The room's word (the first time):"
        self.username_pattern = rf"[a-z0-9_][a-z0-9_-]{{0,{MOST - 1}}}\Z"
        self.allow_all = True
        self.min_password_length = 4
        self._one_by_one = asyncio.Lock()

    async def authenticate(self, handler: Any, data: dict[str, str]) -> Any:
        async with self._one_by_one:
            if amiss := self.amiss(**{"otp": "", **data}):
                handler.custom_login_error = amiss
                return None
            # A password takes tenths of a second, in which the hub has others to serve.
            return await asyncio.to_thread(asyncio.run, super().authenticate(handler, data))

    def amiss(self, username: str, password: str, otp: str | None, **_: str) -> str:
        """Why somebody cannot come in, whatever the password is; empty where that decides."""
        name, told = self.normalize_username(username), (otp or "").strip()
        if not self.validate_username(name):
            return ODD
        if len(password.encode()) > MOST_BYTES:
            return LONG
        if not self._is_known(name) and not compare_digest(
            told.encode(), os.environ[WORD].encode()
        ):
            return NEW
        return ""

    def _is_known(self, name: str) -> bool:
        with dbm.open(self.dbm_path, "c", 0o600) as passwords:
            return name.encode() in passwords
