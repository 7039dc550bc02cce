"""The Voting App, as its users meet it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event, Thread
from typing import Any

import requests

PARTS = ["vote", "redis", "worker", "db", "result"]
COUNT = 20  # seconds in which a vote is counted


class VotingApp:
    """The Voting App as its users meet it: through the published ports of the hosts."""

    VOTE, RESULT = 5000, 5001

    def __init__(self, lab: Any, wait_until: Callable[..., Any]) -> None:
        self.lab = lab
        self._wait_until = wait_until

    def page(self, host: str) -> str | None:
        """The voting page through one host, or None where it is not answered."""
        try:
            answer = requests.get(self.lab.url(host, self.VOTE), timeout=2)
        except requests.RequestException:
            return None
        return answer.text if answer.ok else None

    def hosts_that_answer(self) -> list[str]:
        return [host for host in self.lab.hosts if self.page(host) is not None]

    def scores(self) -> dict[str, int] | None:
        """The counted votes, from whichever host shows the result."""
        for host in self.lab.hosts:
            try:
                answer = requests.get(f"{self.lab.url(host, self.RESULT)}/scores", timeout=2)
                if answer.ok:
                    return dict(answer.json())
            except (requests.RequestException, ValueError):
                continue
        return None

    def cast(self) -> str | None:
        """Cast a new voter's vote; returns the host that took it."""
        for host in self.lab.hosts:
            try:
                answer = requests.post(self.lab.url(host, self.VOTE), {"vote": "a"}, timeout=3)
                if answer.ok:
                    return str(host)
            except requests.RequestException:
                continue
        return None

    def counts_a_vote(self) -> bool:
        """Whether a vote that is cast now shows up in the result in time."""
        try:
            before = self._wait_until(self.scores, COUNT)
            self._wait_until(self.cast, COUNT)
            self._wait_until(lambda: (self.scores() or before)["a"] > before["a"], COUNT)
        except TimeoutError:
            return False
        return True

    @contextmanager
    def visitor(self) -> Iterator["Visits"]:
        """Somebody who asks for the page all the time, and tries each host before giving up."""
        visits = Visits()
        over = Event()

        def visit() -> None:
            while not over.is_set():
                answered = any(self.page(host) is not None for host in self.lab.hosts)
                visits.answered += answered
                visits.lost += not answered
                over.wait(0.02)

        thread = Thread(target=visit)
        thread.start()
        try:
            yield visits
        finally:
            over.set()
            thread.join()


@dataclass
class Visits:
    """How a visitor fared."""

    answered: int = 0
    lost: int = 0
