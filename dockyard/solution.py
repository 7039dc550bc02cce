"""Solves an exercise as a learner would: runs its notebook's own solution cells.

A process of its own (`python -m dockyard.solution`), because the cells set variables and
change files; it works in a copy of the exercise's folder.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import docker

from dockyard import lifecycle
from dockyard.course import Exercise, load_exercise
from dockyard.errors import LabError
from dockyard.settings import Say, quiet

TIMEOUT = 600  # seconds for all tasks together


def solve(
    engine: docker.DockerClient,
    exercise: Exercise,
    learner: str,
    to: str | None = None,
    say: Say = quiet,
) -> None:
    """Bring a lab to the state after task *to*, or after the last one, from a fresh start.

    The learner's files stay as they are.

    Raises:
        UnknownName: the exercise has no such task.
        LabError: the solution does not work; with what it printed.
    """
    last = exercise.task(to).id if to else exercise.tasks[-1].id
    lifecycle.reset(engine, exercise, learner, say)
    say(f'Solving up to "{last}"')
    with tempfile.TemporaryDirectory(prefix="dockyard-solve-") as folder:
        files = Path(folder) / exercise.id
        shutil.copytree(exercise.folder, files)
        command = [sys.executable, "-m", "dockyard.solution", exercise.id, learner, last]
        try:
            done = subprocess.run(
                command, cwd=files, capture_output=True, text=True, timeout=TIMEOUT, check=False
            )
        except subprocess.TimeoutExpired:
            raise LabError(f'The solution up to "{last}" took over {TIMEOUT} seconds.') from None
    if done.returncode:
        end = "\n".join((done.stdout + done.stderr).strip().splitlines()[-12:])
        raise LabError(f'The solution up to "{last}" does not work:\n{end}')


def cells(exercise: Exercise, to: str) -> list[str]:
    """The code of the source notebook up to task *to*, without its checks."""
    notebook = json.loads(exercise.notebook.read_text())
    code = []
    for cell in notebook["cells"]:
        grader = cell["metadata"].get("nbgrader", {})
        if cell["cell_type"] == "code" and not grader.get("grade") and not cell["id"].startswith("check-"):
            code.append("".join(cell["source"]))
        if grader.get("grade_id") == to:
            break
    return code


def _run(exercise_id: str, learner: str, to: str) -> int:
    from IPython.core.interactiveshell import InteractiveShell

    os.environ["JUPYTERHUB_USER"] = learner
    shell = InteractiveShell.instance()
    for code in cells(load_exercise(exercise_id), to):
        shell.user_ns["_exit_code"] = 0
        result = shell.run_cell(code)
        if not result.success or shell.user_ns.get("_exit_code"):
            print(f"in this cell:\n{code}")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(_run(*sys.argv[1:]))
