"""The stand-in's own log, in Fluentd's form."""

import sys
from datetime import datetime

LEVELS = ["trace", "debug", "info", "warn", "error", "fatal"]
threshold = "info"


def log(level: str, message: str) -> None:
    if LEVELS.index(level) >= LEVELS.index(threshold):
        now = datetime.now().astimezone().strftime("%Y-%m-%d %H:%M:%S %z")
        put(f"{now} [{level}]: {message}\n")


def put(line: str) -> None:
    sys.stdout.write(line)
    sys.stdout.flush()
