"""Classes to grade, beside stock nbgrader doing the same Docker work."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import Any

import docker
import msgspec
import psutil

from bench.measure import Figure, Series, Stopwatch
from dockyard import lifecycle, settings
from dockyard.course import Exercise
from dockyard.errors import LabError
from dockyard.lab import all_names

#: How many submissions of each kind; a kind is how many tasks it solves, or no notebook at all.
MIX = {7: 3, 2: 7, 0: 8, None: 2}
SMALL, LARGE = 10, 100  # submissions that solve nothing, to see what a class's size costs
AIM = 3  # seconds for a submission


def measure(engine: docker.DockerClient, exercise: Exercise) -> Iterator[Figure]:
    mixed = [solved for solved, count in MIX.items() for _ in range(count)]
    ours, parts, peak = _grade(exercise, mixed)
    stock = _stock(engine, exercise, mixed)
    yield Figure(
        f"grade {len(mixed)} submissions ({_words()}): each",
        Series([ours]), "s", "stock nbgrader, one by one", Series([stock]), most=AIM, quicker=1,
    )  # fmt: skip
    for part, seconds in parts.items():
        yield Figure(f"… of one, from its start to its end: {part}", Series(seconds), "s")
    yield Figure("… memory of all at their peak", Series([peak]), "MB")
    small, _, small_peak = _grade(exercise, [0] * SMALL)
    large, _, large_peak = _grade(exercise, [0] * LARGE)
    at, what = f"with {SMALL}", f"of {LARGE} submissions that solve nothing"
    yield Figure(f"each {what}", Series([large]), "s", at, Series([small]), slower=1.1)
    peaks = Series([large_peak]), "MB", at, Series([small_peak])
    yield Figure("… memory of all at their peak", *peaks, slower=1.1)


def _words() -> str:
    kinds = {7: "solved", 2: "2 of 7 tasks", 0: "untouched", None: "no notebook"}
    return ", ".join(f"{count} {kinds[kind]}" for kind, count in MIX.items())


def _grade(
    exercise: Exercise, solved: list[int | None]
) -> tuple[float, dict[str, list[float]], float]:
    """Seconds for each; seconds for each part of each; MB in use at the peak."""
    with _course(exercise, solved) as folder, _peak_of_memory() as peak:
        watch = Stopwatch()
        command = [sys.executable, "-m", "dockyard", "grade", exercise.id, "--json"]
        command += ["--submissions", str(folder / "handed-in")]
        with watch.time("all"):
            done = subprocess.run(
                command, env=_environment(folder), capture_output=True, text=True, check=False
            )
        rows: list[dict[str, Any]] = msgspec.json.decode(done.stdout)
    if any(row["status"] == "not graded" for row in rows):
        raise LabError(f"Not all were graded: {done.stderr}")
    parts: dict[str, list[float]] = {}
    for row in rows:
        for part, seconds in row["seconds"].items():
            parts.setdefault(part, []).append(seconds)
    return watch.all["all"][0] / len(solved), parts, peak[0]


def _stock(engine: docker.DockerClient, exercise: Exercise, solved: list[int | None]) -> float:
    with _course(exercise, solved) as folder:
        command = [sys.executable, "-m", "bench.stock", str(folder), exercise.id]
        try:
            done = subprocess.run(
                command, env=_environment(folder), capture_output=True, text=True, check=False
            )
        finally:
            for name in all_names(engine):
                if name.learner.startswith("stock-"):
                    lifecycle.down(engine, name)
    if done.returncode:
        raise LabError(f"Stock nbgrader failed: {done.stderr[-500:]}")
    return float(done.stdout.splitlines()[-1]) / len(solved)


@contextmanager
def _course(exercise: Exercise, solved: list[int | None]) -> Iterator[Path]:
    """This course, with a gradebook of its own, and submissions that solve so many tasks."""
    with tempfile.TemporaryDirectory(prefix="dockyard-bench-") as name:
        folder = Path(name)
        for part in ("images", "exercises", "graders"):
            (folder / part).symlink_to(settings.course_dir() / part)
        shutil.copy(settings.course_dir() / "nbgrader_config.py", folder)
        for number, tasks in enumerate(solved):
            target = folder / "handed-in" / f"stock-{number:03}" / exercise.id
            target.mkdir(parents=True)
            path = target / exercise.notebook.name
            path.write_text("no notebook" if tasks is None else _solved(exercise, tasks))
        yield folder


def _solved(exercise: Exercise, tasks: int) -> str:
    nb = json.loads(exercise.notebook.read_text())
    known = [cell for cell in nb["cells"] if cell["metadata"].get("nbgrader", {}).get("solution")]
    for cell in known[tasks:]:
        cell["source"] = ""
    return json.dumps(nb)


def _environment(folder: Path) -> dict[str, str]:
    return {
        **os.environ,
        "DOCKYARD_COURSE": str(folder),
        "DOCKYARD_STATE": str(settings.state_dir()),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }


@contextmanager
def _peak_of_memory() -> Iterator[list[float]]:
    """MB that this machine uses at most, beyond what it used before; known when this is over."""
    before, highest, over, found = psutil.virtual_memory().used, 0, Event(), [0.0]

    def watch() -> None:
        nonlocal highest
        while not over.wait(0.5):
            highest = max(highest, psutil.virtual_memory().used)

    watcher = Thread(target=watch)
    watcher.start()
    try:
        yield found
    finally:
        over.set()
        watcher.join()
        found[0] = max(highest - before, 0) / 1e6
