"""A guest book: counts its visitors in redis, and has a name for each of them."""

import json
import os
from pathlib import Path

from flask import Flask
from redis import Redis

GREETING = "Hello"

app = Flask(__name__)
names = json.loads((Path(__file__).parent / "names.json").read_text())
store = Redis(os.environ.get("STORE", "localhost"), socket_timeout=2)


@app.route("/")
def welcome() -> str:
    number = store.incr("visitors")
    return f"{GREETING}, visitor {number}! Today you are the {names[number % len(names)]}.\n"


if __name__ == "__main__":
    app.run(host="0.0.0.0", port=8000)  # noqa: S104 (in a container, its network decides)
