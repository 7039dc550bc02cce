"""Voting App, part three: shows how the vote stands, from postgres."""

import os
from concurrent.futures import ThreadPoolExecutor

import psycopg2
from flask import Flask, Response, jsonify, make_response, render_template
from psycopg2.errors import UndefinedTable
from psycopg2.extensions import connection

import database

OPTIONS = {"a": os.environ.get("OPTION_A", "Cats"), "b": os.environ.get("OPTION_B", "Dogs")}
PATIENCE = 0.8
"""Seconds that a visitor waits for postgres."""
COUNT = "SELECT vote, count(*) FROM votes GROUP BY vote"


class AwayError(Exception):
    """Postgres does not answer."""

    def __init__(self, why: str) -> None:
        super().__init__(f"The database does not answer: {why}")


class Tally:
    """One connection to postgres, used by one thread of its own, so that no visitor waits longer than PATIENCE.

    The thread may still be held up (by a name look-up, by a database that has just vanished); it goes on by itself.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1)
        self._db: connection | None = None

    def read(self) -> dict[str, int]:
        """The present counts, fresh from the table."""
        answer = self._thread.submit(self._read)
        try:
            return answer.result(PATIENCE)
        except TimeoutError:
            answer.cancel()  # if it has not begun: nobody waits for it any more
            raise AwayError(f"no answer within {PATIENCE:g} s") from None
        except psycopg2.Error as error:
            raise AwayError(database.reason(error)) from error

    def _read(self) -> dict[str, int]:
        """Count on the connection at hand; if that one is stale, on a new one."""
        if self._db is not None:
            try:
                return count(self._db)
            except psycopg2.Error:
                self._db.close()
        self._db = None
        self._db = database.connect()
        return count(self._db)


def count(db: connection) -> dict[str, int]:
    """Votes per option. A new database has no table until the worker makes it, and no votes either."""
    with db.cursor() as cursor:
        try:
            cursor.execute(COUNT)
        except UndefinedTable:
            return dict.fromkeys(OPTIONS, 0)
        found: dict[str, int] = dict(cursor.fetchall())
    return {key: found.get(key, 0) for key in OPTIONS}


app = Flask(__name__)
tally = Tally()


@app.get("/")
def page() -> str:
    """The page as it is now; its script then asks /scores every second. It is served also while postgres is away."""
    try:
        scores, problem = tally.read(), ""
    except AwayError as away:
        scores, problem = dict.fromkeys(OPTIONS, 0), str(away)
    total = sum(scores.values())
    percent = {key: 100 * votes / total if total else 50 for key, votes in scores.items()}
    return render_template(
        "index.html", options=OPTIONS, scores=scores, percent=percent, total=total, problem=problem
    )


@app.get("/scores")
def scores() -> Response:
    """The counts, for the page's script and for programs."""
    try:
        return jsonify(tally.read())
    except AwayError as away:
        return make_response(jsonify(error=str(away)), 503)


@app.get("/healthz")
def healthz() -> str:
    """Well means: can answer. An absent postgres is no reason to replace this container."""
    return "ok\n"
