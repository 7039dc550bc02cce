"""`python -m bench [SECTION…]`: measure, print, and write RESULTS.md when all was measured."""

import os
import platform
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import docker

from bench import board, checks, classes, commands, contents, exercises, labs, rooms, screen
from bench.measure import Figure
from dockyard import engine as engines
from dockyard.course import Exercise, load_exercise
from dockyard.errors import DockyardError

SECTIONS: dict[str, Callable[[docker.DockerClient, Exercise], Iterator[Figure]]] = {
    "labs": labs.measure,
    "images": contents.measure,
    "commands": commands.measure,
    "checks": checks.measure,
    "exercises": exercises.measure,
    "classes": classes.measure,
    "screen": screen.measure,
    "rooms": rooms.measure,
    "board": board.measure,
}
EXERCISE = "02_clustering"
RESULTS = Path(__file__).parent / "RESULTS.md"
HEADS = ["what", "median (range)", "floor or peer", "ratio", "aim", "met"]


def main(wanted: list[str]) -> int:
    """Measure *wanted* sections, or all; the status is 1 where an aim is missed."""
    if unknown := set(wanted) - set(SECTIONS):
        print(f"bench: no section {', '.join(unknown)}; there are {', '.join(SECTIONS)}")
        return 1
    engine, exercise = engines.connect(print), load_exercise(EXERCISE)
    started = time.monotonic()
    try:
        sections = wanted or list(SECTIONS)
        figures = [figure for each in sections for figure in run(each, engine, exercise)]
    except DockyardError as error:
        print(f"bench: {error}")
        return error.exit_code
    took = time.monotonic() - started
    print(f"\n{machine(engine)}; {took:.0f} s")
    if not wanted:
        RESULTS.write_text(as_markdown(figures, machine(engine), took))
    missed = [figure.what for figure in figures if not all(met for _, met in figure.aims)]
    print(f"Missed: {'; '.join(missed)}" if missed else "Every aim is met.")
    return 1 if missed else 0


def run(section: str, engine: docker.DockerClient, exercise: Exercise) -> Iterator[Figure]:
    """Measure one section, and print each figure as soon as it is known."""
    print(f"\n{section}", flush=True)
    for figure in SECTIONS[section](engine, exercise):
        print("  " + " | ".join(cell for cell in figure.cells() if cell), flush=True)
        yield figure


def machine(engine: docker.DockerClient) -> str:
    """What this was measured on, without names."""
    info = engine.info()
    memory = info["MemTotal"] / 2**30
    return (
        f"{info['NCPU']} cores, {memory:.0f} GiB, load {os.getloadavg()[0]:.1f}, "
        f"{info['OperatingSystem']}, kernel {platform.release()}, cgroup v{info['CgroupVersion']}, "
        f"engine {info['ServerVersion']} ({info['Driver']}), Python {platform.python_version()}"
    )


def as_markdown(figures: list[Figure], where: str, took: float) -> str:
    rows = [HEADS, ["---"] * len(HEADS), *(figure.cells() for figure in figures)]
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    return (
        f"# Benchmarks\n\nWritten by `make bench` on {time.strftime('%Y-%m-%d')}, in {took:.0f} s, "
        f"on {where}.\n\nMedians of one run, each beside its floor or peer from the same run.\n\n"
        f"{table}\n"
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
