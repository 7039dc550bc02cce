"""Brings news to a board in the room, in a thread: a check never waits for a network.

What cannot be delivered now is tried again as long as this process lives; the newest letters are
kept.
"""

import atexit
from collections import deque
from threading import Condition, Thread

from dockyard.board import agreement
from dockyard.board.news import News

MOST = 200
#: Seconds from one try to the next, at first and at most; and for which a process that is done
#: waits for its last letters.
FIRST_PAUSE, LONGEST_PAUSE, LAST_WAIT = 1.0, 60.0, 1.0


class Post:
    """Letters that wait, in their order.

    Attributes:
        stuck: the last try was in vain.
    """

    def __init__(self) -> None:
        self.stuck = False
        self._waiting: deque[News] = deque(maxlen=MOST)
        self._changed = Condition()
        self._thread: Thread | None = None

    def send(self, news: News) -> None:
        with self._changed:
            self._waiting.append(news)
            self.stuck = False
            if not (self._thread and self._thread.is_alive()):
                self._thread = Thread(target=self._work, daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def flush(self) -> None:
        """Wait a little until all is sent, but not for a board that does not answer."""
        with self._changed:
            self._changed.wait_for(lambda: self.stuck or not self._waiting, LAST_WAIT)

    def _work(self) -> None:
        pause = FIRST_PAUSE
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting)
                news = self._waiting[0]
            done = _deliver(news)
            with self._changed:
                if done:
                    pause = FIRST_PAUSE
                    if self._waiting and self._waiting[0] is news:  # others may push it out
                        self._waiting.popleft()
                self.stuck = not done
                self._changed.notify_all()
                if not done:
                    self._changed.wait(pause)  # or until there is more to tell
                    pause = min(2 * pause, LONGEST_PAUSE)


def _deliver(news: News) -> bool:
    """Whether nothing is left to be done about it."""
    try:
        agreed = agreement.read()
        status = agreement.deliver(agreed, news) if agreed else 0
    except Exception:  # nobody reads what a thread raises, and the next try may succeed
        return False
    return status != 429 and status < 500


_post = Post()
atexit.register(_post.flush)
send = _post.send
