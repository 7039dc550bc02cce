"""How gunicorn serves vote and result: one process, quick to start, quick to stop without dropping anybody."""

import logging
import os
import select
import selectors
import socket
import time
from types import FrameType

from gunicorn.workers.gthread import ThreadWorker


class PromptWorker(ThreadWorker):
    """A thread worker that hears SIGTERM at once and then serves everybody who had connected by then.

    gthread notices the signal only when its wait of one second ends, and drops whoever has connected but is not being
    served yet: a failed request at each step of a rolling update.
    """

    leaving = False

    def run(self) -> None:
        """The loop of gthread; the worker's signal pipe, which gthread leaves unused, ends its wait."""
        self.poller.register(self.PIPE[0], selectors.EVENT_READ, lambda pipe: os.read(pipe, 64))
        super().run()

    def handle_exit(self, _sig: int, _frame: FrameType | None) -> None:
        """On SIGTERM. The loop is the one to act on it, for here it may be amid anything."""
        self.leaving = True

    def notify(self) -> None:
        """Called at the head of each round of the loop, where no event is half done."""
        super().notify()
        if self.leaving:
            self.serve_the_rest()
            self.alive = False
            os.write(self.PIPE[1], b".")  # the round's own wait ends at once

    def serve_the_rest(self) -> None:
        """Accept nobody new; give those who are connected a second to be served."""
        for listener in self.sockets:
            self.close_to_newcomers(listener)
        deadline = time.monotonic() + 1
        while self.nr_conns and time.monotonic() < deadline:
            for key, _ in self.poller.select(0.05):
                key.data(key.fileobj)

    def close_to_newcomers(self, listener: socket.socket) -> None:
        """Take in who waits at the door, then close it: from then on connections are refused and go elsewhere."""
        accept = self.poller.get_key(listener).data
        while select.select([listener], [], [], 0)[0]:
            accept(listener)
        self.poller.unregister(listener)
        listener.close()


HEALTH = {"/healthz", "/readyz"}


def not_a_health_check(record: logging.LogRecord) -> bool:
    """Health checks come every few seconds and would bury the visitors in the log."""
    return not (isinstance(record.args, dict) and record.args.get("U") in HEALTH)


logging.getLogger("gunicorn.access").addFilter(not_a_health_check)

bind = "0.0.0.0:80"
worker_class = PromptWorker
workers = 1  # to have more of it, run more containers: that is what the course is about
threads = 8  # so that a visitor who waits for an absent redis or db holds up nobody else
preload_app = (
    True  # import before the fork: a mistake in the program ends the container instead of looping
)
keepalive = 0  # every request connects anew, so a balancer's choice shows at each reload
graceful_timeout = 5  # less than the 10 s after which `docker stop` kills
worker_tmp_dir = "/dev/shm"  # memory, and writable also where the root file system is read-only
accesslog = "-"
errorlog = "-"
