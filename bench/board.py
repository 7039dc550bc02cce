"""From a check to the board's page, with a hundred learners, in a real browser."""

import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path
from signal import SIGINT
from typing import NamedTuple

import docker
from playwright.sync_api import Page, expect

from bench.browser import chromium
from bench.measure import Figure, Series, repeat
from dockyard import grading, report, settings
from dockyard.board import sharing
from dockyard.course import Exercise
from dockyard.grading import Criterion
from dockyard.report import CriterionResult, Report

LEARNERS = [f"learner-{number:03}" for number in range(100)]
CHANGES, ROUNDS = 100, 10
#: Notes when each row says something else than before, in seconds since 1970.
WATCH = """() => {
  window.seen = {};
  window.watching?.disconnect();
  window.watching = new MutationObserver((changes) => {
    const now = (performance.timeOrigin + performance.now()) / 1000;
    for (const { target } of changes) {
      const row = (target.closest ? target : target.parentElement)?.closest("tr");
      if (row) window.seen[row.querySelector("th").textContent] ??= now;
    }
  });
  window.watching.observe(document.querySelector("tbody"),
    { childList: true, subtree: true, characterData: true });
}"""


class Running(NamedTuple):
    """A board that runs, as it says itself."""

    process: "subprocess.Popen[str]"
    link: str
    #: What learners in the room are to type, after `dockyard share`.
    address: str


@contextmanager
def running(*arguments: str, state: Path | None = None) -> Iterator[Running]:
    """A board of this installation, or of the one that has its state there; on free ports."""
    command = [sys.executable, "-m", "dockyard", "board", "--port", "0", *arguments]
    environment = {**os.environ, "DOCKYARD_STATE": str(state or settings.state_dir())}
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    assert process.stderr
    try:
        said = ""
        for line in process.stderr:
            said += line
            if "Ctrl-C" in line:
                break
        link = re.search(r"http://\S+", said)
        room = re.search(r"dockyard share (\S+)", said)
        assert link, said
        yield Running(process, link[0], room[1] if room else "")
    finally:
        process.send_signal(SIGINT)
        process.wait(20)
        process.stderr.close()


def simulated(exercise: Exercise, known: list[Criterion], learner: str, passed: int) -> Report:
    """What a check finds of somebody who has met the first *passed* criteria."""
    results = [
        CriterionResult(
            id=each.id,
            title=each.title,
            task=each.task,
            outcome="passed" if number < passed else "failed" if number == passed else "blocked",
            points=each.points if number < passed else 0.0,
            max_points=each.points,
            expected="3 nodes, Ready" if number == passed else "",
            found="2 Ready, 1 Down (node3)"
            if number == passed
            else f'needs "{known[min(passed, len(known) - 1)].title}"',
            look=each.look,
            needs=each.needs,
        )
        for number, each in enumerate(known)
    ]
    return report.make(exercise.id, learner, results, 0.5)


def measure(_: docker.DockerClient, exercise: Exercise) -> Iterator[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        own = Path(folder) / "browser"
        own.mkdir()
        before, os.environ["DOCKYARD_STATE"] = os.environ.get("DOCKYARD_STATE"), folder
        try:
            with running() as board, chromium(own) as browser:
                page = browser.new_page(viewport={"width": 1920, "height": 1080})
                yield from _figures(page, board, exercise)
        finally:
            os.environ.pop("DOCKYARD_STATE")
            if before:
                os.environ["DOCKYARD_STATE"] = before


def _figures(page: Page, board: Running, exercise: Exercise) -> Iterator[Figure]:
    known = grading.criteria(exercise)
    passed = dict.fromkeys(LEARNERS, 0)

    def check(learner: str) -> None:
        passed[learner] = (passed[learner] + 1) % len(known)
        sharing.tell(simulated(exercise, known, learner, passed[learner]))

    for learner in LEARNERS:
        check(learner)
    page.goto(board.link)
    expect(page.locator("tbody tr")).to_have_count(len(LEARNERS))
    learners = cycle(LEARNERS)
    told = repeat(CHANGES, lambda: check(next(learners)), 1000)
    yield Figure("what a check waits for the board", told, "ms", most=5)
    page.wait_for_timeout(1000)
    one = [shown(page, check, [next(learners)])[0] for _ in range(CHANGES)]
    yield from _late("from a check to the board's page, 100 learners", one)
    all_ = [late for _ in range(ROUNDS) for late in shown(page, check, LEARNERS)]
    yield from _late("… all 100 of them at once", all_)
    board.process.kill()
    board.process.wait()
    yield Figure("what a check waits for a board that was killed",
                 repeat(CHANGES, lambda: check(next(learners)), 1000), "ms", most=5)  # fmt: skip


def shown(page: Page, check: Callable[[str], None], learners: list[str]) -> list[float]:
    """Seconds from just before each one's check to when the page shows what it found."""
    page.evaluate(WATCH)
    told = {}
    for learner in learners:
        told[learner] = time.time()
        check(learner)
    everyone = f"() => Object.keys(window.seen).length >= {len(learners)}"
    page.wait_for_function(everyone)
    seen: dict[str, float] = page.evaluate("window.seen")
    return [seen[learner] - at for learner, at in told.items()]


def _late(what: str, seen: list[float]) -> Iterator[Figure]:
    yield Figure(f"{what}: {len(seen)} changes", Series(seen), "s")
    slowest = Series([statistics.quantiles(seen, n=20)[-1]])
    yield Figure("… the slowest but 5 %", slowest, "s", most=1)
