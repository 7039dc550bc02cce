"""What the kernel of a submission gets: a lab, a folder, an environment, and nothing unseen."""

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dockyard import engine as engines
from dockyard import lifecycle, settings, swarm
from dockyard.classroom.submissions import walk
from dockyard.course import Exercise
from dockyard.lab import Lab, LabName
from dockyard.notebook import LAB_PORTS
from dockyard.release import PRIVATE
from dockyard.settings import GRADING


@contextmanager
def fresh_lab(exercise: Exercise, learner: str) -> Iterator[Lab]:
    """A lab on which nobody has worked; removed again, whatever happens."""
    engine = engines.connect()
    name = LabName(exercise.id, learner)
    lifecycle.down(engine, name)  # of a run that was killed
    try:
        yield lifecycle.up(engine, exercise, learner)
    finally:
        lifecycle.down(engine, name)


@contextmanager
def workplace(exercise: Exercise, sources: list[Path]) -> Iterator[Path]:
    """A folder for the kernel to work in: the files of *sources*, a later one over an earlier.

    A copy, so that what was handed in stays as it was, and grading again starts from the same.
    """
    with tempfile.TemporaryDirectory(prefix="dockyard-grade-", ignore_cleanup_errors=True) as base:
        folder = Path(base) / exercise.id
        folder.mkdir()
        for source in sources:
            for file in learners_files(source):
                (folder / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source / file, folder / file)
        yield folder


def differ(original: Path, submitted: Path) -> bool:
    """Whether a file of the exercise was handed in changed."""
    pairs = [(original / file, submitted / file) for file in learners_files(original)]
    return any(b.is_file() and a.read_bytes() != b.read_bytes() for a, b in pairs)


def learners_files(folder: Path) -> list[Path]:
    """The files in *folder* beside the notebook."""
    return [file for file in walk(folder) if file.suffix != ".ipynb" and file.name not in PRIVATE]


def kernel_environment(lab: Lab, home: Path) -> dict[str, str]:
    """All variables of a submission's kernel: its own lab, and nothing handed on unseen.

    The outer engine's address is not among them: `open_lab` does without it.
    """
    return {
        GRADING: "1",
        "JUPYTERHUB_USER": lab.name.learner,
        LAB_PORTS: json.dumps(lab.ports),
        **swarm.modes(lab),
        "DOCKYARD_COURSE": str(settings.course_dir()),
        "DOCKYARD_STATE": str(settings.state_dir()),
        "HOME": str(home),  # not the instructor's, with profiles and keys
        "PATH": f"{Path(sys.executable).parent}:{os.environ.get('PATH', os.defpath)}",
        **{name: os.environ[name] for name in ("LANG", "LC_ALL", "TZ") if name in os.environ},
    }
