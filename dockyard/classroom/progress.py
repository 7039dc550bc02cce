"""What whoever waits for grading sees: what runs, what is done, how long it may still take."""

import time
from threading import Lock

from dockyard.classroom import export
from dockyard.classroom.records import Record
from dockyard.liveline import LiveLine
from dockyard.settings import Say, quiet


class Progress:
    """A line for each submission that is done; on a terminal, below it one of what runs."""

    def __init__(self, of: int, say: Say) -> None:
        self._of = of
        self._say = say
        self._running: list[str] = []
        self._done: list[Record] = []
        self._started = time.monotonic()
        self.is_closed = False
        self._turn = Lock()  # threads start and end submissions
        self._line = LiveLine()

    def start(self, learner: str) -> None:
        with self._turn:
            self._running.append(learner)
            self._show()

    def end(self, record: Record) -> None:
        with self._turn:
            self._running.remove(record.learner)
            self._done.append(record)
            self._line.wipe()
            line = f"[{len(self._done)}/{self._of}] {record.learner}: {export.outcome(record)}"
            self._say(f"{line}, {record.seconds.get('all', 0):.0f} s{self._left()}")
            self._show()

    def close(self) -> None:
        """Leave the terminal as it was, and say no more."""
        with self._turn:
            self._line.wipe()
            self._say, self.is_closed = quiet, True

    def _left(self) -> str:
        """How long the rest takes, if it takes as long as what is done."""
        done = len(self._done)
        seconds = (time.monotonic() - self._started) / done * (self._of - done) if done else 0
        return f", about {max(seconds / 60, 1):.0f} min left" if seconds else ""

    def _show(self) -> None:
        if not self.is_closed:
            aside = sum(each.status != "graded" for each in self._done)
            line = f"   {len(self._done)} of {self._of} done, {aside} without points; running: "
            self._line.show(line + ", ".join(self._running))
