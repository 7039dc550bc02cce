"""The way to the votes' database, shared by worker and result.

Both must notice within about a second that the database has gone, also when it vanished without a word (a host that
died behind an overlay network) or stopped answering (a paused container). TCP alone takes minutes for the one and never
notices the other, so each wait for the server has a deadline of its own.
"""

import os
import select
import socket
import time
from pathlib import Path

import psycopg2
from psycopg2.extensions import POLL_OK, POLL_READ, POLL_WRITE, connection, set_wait_callback

PATIENCE = 1.0
"""Seconds that connecting, or one statement, may take."""


def setting(name: str, default: str) -> str:
    """NAME from the environment, or what is in the file that NAME_FILE names (a Docker secret)."""
    file = os.environ.get(f"{name}_FILE")
    return Path(file).read_text().strip() if file else os.environ.get(name, default)


def addresses(host: str) -> str:
    """Where host is now; db may have moved. Not left to psycopg2, which holds up all threads while it looks."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError as error:
        raise psycopg2.OperationalError(f'cannot find "{host}": {error.strerror}') from error
    return ",".join(str(address[0]) for *_, address in found)


def connect() -> connection:
    """A new connection, each statement a transaction of its own."""
    user = setting("POSTGRES_USER", "postgres")
    db = psycopg2.connect(
        hostaddr=addresses(os.environ.get("POSTGRES_HOST", "db")),
        user=user,
        password=setting("POSTGRES_PASSWORD", "postgres"),
        dbname=setting("POSTGRES_DB", user),
    )
    db.autocommit = True
    return db


def reason(error: Exception) -> str:
    """The first line of an error, for a log or a page; libpq likes to add advice."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def wait(db: connection) -> None:
    """Wait for the server's answer, but not longer than PATIENCE; psycopg2 then gives the connection up."""
    deadline = time.monotonic() + PATIENCE
    while (state := db.poll()) != POLL_OK:
        left = deadline - time.monotonic()
        if left <= 0:
            raise psycopg2.OperationalError(f"no answer within {PATIENCE:g} s")
        pipe = [db.fileno()]
        select.select(
            pipe if state == POLL_READ else [], pipe if state == POLL_WRITE else [], [], left
        )


set_wait_callback(wait)
