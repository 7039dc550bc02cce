"""Voting App, part one: shows two options and queues each vote in redis."""

import json
import os
import secrets
import socket
from pathlib import Path

from flask import Flask, Response, make_response, render_template, request
from redis import Redis, RedisError
from redis.backoff import NoBackoff
from redis.retry import Retry

OPTIONS = {"a": os.environ.get("OPTION_A", "Cats"), "b": os.environ.get("OPTION_B", "Dogs")}
REDIS_HOST = os.environ.get("REDIS_HOST", "redis")
HOSTNAME = socket.gethostname()
LONGEST_ID = 255
"""Characters that the votes table takes."""
UNREADY = Path("/tmp/unready")
"""While this file is there, the container asks for no visitors: `docker exec NAME touch /tmp/unready`."""

app = Flask(__name__)


@app.get("/")
def form() -> Response:
    """The two buttons."""
    return page()


@app.post("/")
def cast() -> Response:
    """Queue the vote; whoever cannot be served is told why."""
    vote = request.form.get("vote")
    if vote not in OPTIONS:
        return Response(
            f'vote must be "a" or "b", not {json.dumps(vote)}\n', 400, mimetype="text/plain"
        )
    voter = voter_id()
    try:
        push(voter, vote)
    except RedisError as error:
        why = str(error).rstrip(".")
        print(f"Refused vote for {vote} by {voter}: {why}")
        return page(
            voter,
            problem=f'Your vote was not counted: the queue "{REDIS_HOST}" does not answer ({why}).',
        )
    print(f"Received vote for {vote} by {voter}")
    return page(voter, vote)


@app.get("/healthz")
def healthz() -> str:
    """Well means: can answer. An absent redis is no reason to replace this container."""
    return "ok\n"


@app.get("/readyz")
def readyz() -> Response:
    """Ready means: send me visitors. Who is not ready is to be left alone for a while, not to be replaced."""
    if UNREADY.exists():
        return Response("not ready\n", 503)
    return Response("ready\n")


def voter_id() -> str:
    """Who votes: the visitor's cookie, or a new one."""
    known = request.cookies.get("voter_id", "")
    return known if 0 < len(known) <= LONGEST_ID else secrets.token_hex(8)


def push(voter: str, vote: str) -> None:
    """Append the vote to the list from which the worker takes.

    Each vote connects anew, so a redis that was replaced costs nobody a vote, and never tries twice: the visitor waits.
    """
    retry = Retry(NoBackoff(), 0)
    with Redis(REDIS_HOST, socket_connect_timeout=1, socket_timeout=1, retry=retry) as queue:
        queue.rpush("votes", json.dumps({"voter_id": voter, "vote": vote}))


def page(voter: str | None = None, vote: str | None = None, problem: str | None = None) -> Response:
    """The form, with the vote just cast or with the problem that prevented it."""
    html = render_template(
        "index.html", options=OPTIONS, hostname=HOSTNAME, vote=vote, problem=problem
    )
    answer = make_response(html, 503 if problem else 200)
    answer.set_cookie("voter_id", voter or voter_id())
    return answer
