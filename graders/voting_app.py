"""The Voting App, as its users meet it."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
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

    def page(self, host: str, patience: float = 2) -> str | None:
        """The voting page through one host, or None where it is not answered."""
        try:
            answer = requests.get(self.lab.url(host, self.VOTE), timeout=patience)
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

    def cast(self, voter: str | None = None) -> str | None:
        """Cast a vote, a new voter's unless one is named; returns the host that took it."""
        cookies = {"voter_id": voter} if voter else None
        for host in self.lab.hosts:
            try:
                url = self.lab.url(host, self.VOTE)
                answer = requests.post(url, {"vote": "a"}, cookies=cookies, timeout=3)
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

    def expect_counted_vote(self, expect: Callable[..., None]) -> None:
        """Cast a vote, and expect it in the result."""
        counted = self.counts_a_vote()
        found = "counted" if counted else f"not counted in {COUNT} s"
        expect(counted, "the vote in the result", found)

    @contextmanager
    def visitor(self, hosts: list[str] | None = None, patience: float = 2) -> Iterator["Visits"]:
        """Somebody who asks for the page all the time, and tries each host before giving up.

        Args:
            hosts: the hosts that the visitor knows; by default all.
            patience: seconds for which each of them may let the visitor wait.
        """
        visits = Visits()
        over = Event()

        def visit() -> None:
            while not over.is_set():
                pages = (self.page(host, patience) for host in hosts or self.lab.hosts)
                page = next((each for each in pages if each is not None), None)
                if page is None:
                    visits.lost += 1
                else:
                    visits.answers.append(made_by(page))
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

    #: The container that made each page, in their order.
    answers: list[str] = field(default_factory=list)
    lost: int = 0

    @property
    def answered(self) -> int:
        return len(self.answers)

    def describe(self) -> str:
        return f"{self.lost} of {self.lost + self.answered} requests lost"


def made_by(page: str) -> str:
    """The hostname of the container that made a voting page."""
    found = re.search(r"container ID ([\w.-]+)", page)
    return found[1] if found else ""
