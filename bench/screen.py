"""From a change on a host to the change on the learner's screen, in a real browser."""

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import docker
import psutil
from docker.models.containers import Container
from playwright.sync_api import Page, expect

from bench.browser import chromium, jupyterlab
from bench.measure import Figure, Series
from dockyard import lifecycle
from dockyard.course import Exercise
from dockyard.lab import Lab, LabName

LEARNER = "bench-screen"
CHANGES, MANY, IDLE = 100, 60, 20  # changes; containers; seconds
#: Notes when an element of the page, and no other, says something else than before, in seconds
#: since 1970.
WATCH = """selector => {
  window.changes = [];
  window.watching?.disconnect();
  const element = document.querySelector(selector);
  const at = () => (performance.timeOrigin + performance.now()) / 1000;
  let before = element.textContent;
  window.watching = new MutationObserver(() => {
    if (element.textContent !== before) window.changes.push(at());
    before = element.textContent;
  });
  window.watching.observe(element, {childList: true, subtree: true, characterData: true});
}"""


def measure(engine: docker.DockerClient, exercise: Exercise) -> Iterator[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        kit, own = Path(folder) / "kit", Path(folder) / "browser"
        own.mkdir()
        try:
            lab = lifecycle.up(engine, exercise, LEARNER)
            with jupyterlab(kit, LEARNER) as site, chromium(own) as browser:
                page = browser.new_page(viewport={"width": 1400, "height": 1500})
                path = f"work/{exercise.id}/{exercise.id}.ipynb"
                page.goto(site.url(f"lab/tree/{path}?reset"))
                expect(page.get_by_text("(ipykernel) | Idle")).to_be_visible(timeout=60_000)
                page.locator(".jp-Notebook .jp-CodeCell .cm-content").first.click()
                for _ in range(2):
                    page.keyboard.press("Shift+Enter")
                expect(page.locator(".dy-total")).to_contain_text("0 of", timeout=60_000)
                yield from _figures(lab, page)
        finally:
            lifecycle.down(engine, LabName(exercise.id, LEARNER))


def _figures(lab: Lab, page: Page) -> Iterator[Figure]:
    client = lab.client("node1")
    one = client.containers.run("dockyard/debian:1", ["sleep", "3600"], detach=True)
    kernel = _kernel()
    busy = _cpu_used(kernel)
    idle = Series([100 * busy])
    yield Figure("the screen's kernel while nothing happens", idle, "% of a core", most=1)

    page.evaluate(WATCH, ".dy-stage")
    seen = [_shown(page, change) for change in _changes(one)]
    yield from _latency("from a change on a host to the picture", seen, 0.3)

    page.evaluate(WATCH, ".dy-looked")
    checked = [_shown(page, change) for change in _changes(one, 20)]
    yield from _latency("… to the next check's result in the panel", checked, 0.5)

    for number in range(MANY - 1):
        lab.client(lab.hosts[number % len(lab.hosts)]).containers.run(
            "dockyard/debian:1", ["sleep", "3600"], detach=True
        )
    page.locator("[role=button][data-container]").nth(MANY - 1).wait_for()
    page.evaluate(WATCH, ".dy-stage")
    crowd = [_shown(page, change) for change in _changes(one, 50)]
    yield from _latency(f"… to the picture, with {MANY} containers", crowd, 0.5)
    frames = page.evaluate(FRAMES)
    yield Figure(f"a redrawing of {MANY} containers, as a frame", Series(frames), "ms", most=50)


#: Draws the picture anew 20 times; how long each kept the page from its next frame, in ms.
FRAMES = """async () => {
  const stage = document.querySelector(".dy-stage"), took = [];
  for (let round = 0; round < 20; round++) {
    await new Promise(requestAnimationFrame);
    const start = performance.now();
    stage.replaceChildren(stage.firstElementChild.cloneNode(true));
    stage.getBoundingClientRect();
    await new Promise(requestAnimationFrame);
    took.push(performance.now() - start);
  }
  return took;
}"""


def _changes(container: Container, count: int = CHANGES) -> list[Callable[[], None]]:
    """Paused and back: what an engine does quickest."""
    return [container.pause if number % 2 == 0 else container.unpause for number in range(count)]


def _shown(page: Page, change: Callable[[], None]) -> float:
    """Seconds from just before a change to when the page shows one."""
    page.wait_for_timeout(1500)  # until nothing more comes of the last one
    page.evaluate("window.changes = []")
    started = time.time()
    change()
    page.wait_for_function("window.changes.length > 0")
    return float(page.evaluate("window.changes[0]")) - started


def _latency(what: str, seen: list[float], aim: float) -> Iterator[Figure]:
    late = Series([statistics.quantiles(seen, n=20)[-1]])
    yield Figure(f"{what}: {len(seen)} changes", Series(seen), "s")
    yield Figure("… the slowest but 5 %", late, "s", most=aim)


def _kernel() -> psutil.Process:
    for process in psutil.process_iter():
        command = " ".join(process.cmdline())
        if "ipykernel_launcher" in command and process.environ().get("JUPYTERHUB_USER") == LEARNER:
            return process
    raise AssertionError("the notebook has no kernel")


def _cpu_used(process: psutil.Process) -> float:
    """Seconds of processor a second, over a while in which nothing happens."""
    time.sleep(3)  # what happened before
    before, started = sum(process.cpu_times()[:2]), time.monotonic()
    time.sleep(IDLE)
    return (sum(process.cpu_times()[:2]) - before) / (time.monotonic() - started)
