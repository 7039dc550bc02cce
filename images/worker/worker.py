"""Voting App, part two: takes votes from redis and stores the latest one of each voter in postgres.

No vote that was taken is lost. Redis moves each from the list `votes` to the list `votes:taken` as it hands it out, in
one step, and the worker strikes it off there once postgres has it. Whatever a worker left behind when it was killed or
cut off goes back to the head of the queue when the next one connects. A vote may thus be stored twice; the second
time changes nothing.
"""

import json
import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import closing
from typing import Any, NoReturn, TypeVar

import psycopg2
from psycopg2.extensions import connection
from redis import Redis, RedisError
from redis.backoff import NoBackoff
from redis.retry import Retry

import database

QUEUE = "votes"
TAKEN = "votes:taken"
PAUSE = 0.25
"""Seconds between two attempts to reach redis or postgres."""
HEARTBEAT = 1
"""Seconds after which an idle redis says so. One that does not is gone, however silently it went."""
AWAY = (RedisError, psycopg2.Error)

TABLE = (
    "CREATE TABLE IF NOT EXISTS votes (id varchar(255) NOT NULL UNIQUE, vote varchar(255) NOT NULL)"
)
STORE = "INSERT INTO votes (id, vote) VALUES (%s, %s) ON CONFLICT (id) DO UPDATE SET vote = EXCLUDED.vote"

T = TypeVar("T")
busy = threading.Lock()


def log(line: str) -> None:
    """One line per event."""
    print(line, flush=True)


def open_queue() -> Redis:
    """A connection to redis that gives up soon; what was taken but not stored goes back to the head of the queue."""
    host = os.environ.get("REDIS_HOST", "redis")
    timeout = 2 * HEARTBEAT
    queue = Redis(
        host, socket_connect_timeout=0.5, socket_timeout=timeout, retry=Retry(NoBackoff(), 0)
    )
    while queue.lmove(TAKEN, QUEUE, "RIGHT", "LEFT"):
        log("Put back a vote that was taken but not stored")
    return queue


def open_table() -> connection:
    """A connection to postgres, where the table exists; the database may be a new and empty one."""
    db = database.connect()
    with db.cursor() as cursor:
        cursor.execute(TABLE)
    return db


def reach(name: str, attempt: Callable[[], T]) -> T:
    """Try until it works. A reason is logged once, not at every attempt."""
    told = ""
    while True:
        try:
            found = attempt()
        except AWAY as error:
            if (why := database.reason(error)) != told:
                log(f"Waiting for {name}: {why}")
            told = why
            time.sleep(PAUSE)
        else:
            log(f"Connected to {name}")
            return found


def store(db: connection, taken: bytes) -> None:
    """Write one vote, or say why it is none: trying that one again would hold up all others for ever."""
    try:
        vote = json.loads(taken)
        voter, choice = str(vote["voter_id"]), str(vote["vote"])
        with db.cursor() as cursor:
            cursor.execute(STORE, (voter, choice))
    except (ValueError, LookupError, TypeError, psycopg2.DataError) as error:
        log(f"Skipped {taken[:200]!r}, which is not a vote: {database.reason(error)}")
    else:
        log(f"Processing vote for '{choice}' by '{voter}'")


def carry(queue: Redis, db: connection) -> None:
    """Carry one vote over; without one for a while, see that postgres is still there."""
    taken: Any = queue.blmove(QUEUE, TAKEN, HEARTBEAT, "LEFT", "RIGHT")
    with busy:
        if taken is None:
            with db.cursor() as cursor:
                cursor.execute("SELECT 1")
            return
        store(db, taken)
        queue.lrem(TAKEN, 1, taken)


def work() -> NoReturn:
    """For ever: reach both, carry votes until one of them goes away."""
    while True:
        with closing(reach("db", open_table)) as db, closing(reach("redis", open_queue)) as queue:
            try:
                while True:
                    carry(queue, db)
            except AWAY as error:
                log(f"Lost a connection, opening both anew: {database.reason(error)}")
        time.sleep(PAUSE)


def end_on_sigterm() -> None:
    """A thread waits for the signal, for a handler would wait until a blocking call (such as a name look-up) returns.

    A vote in hand gets a moment to be stored. If it cannot be, it is still in `votes:taken`.
    """
    signals = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)

    def end() -> NoReturn:
        name = signal.Signals(signal.sigwait(signals)).name
        busy.acquire(timeout=0.3)
        log(f"{name}: done")
        os._exit(0)

    threading.Thread(target=end, daemon=True).start()


if __name__ == "__main__":
    end_on_sigterm()
    work()
