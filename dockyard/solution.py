"""Solves an exercise as a learner would: runs its notebook's own solution cells.

The cells set variables and change files, so they run in a process of their own
(`python -m dockyard.solution`), in a copy of the exercise's folder.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType

import docker

from dockyard import lifecycle
from dockyard.course import Exercise, load_exercise
from dockyard.errors import LabError, UnknownName
from dockyard.lifecycle import Removed
from dockyard.settings import Say, quiet


def solve(
    engine: docker.DockerClient,
    exercise: Exercise,
    learner: str,
    to: str | None = None,
    say: Say = quiet,
) -> Removed:
    """Bring a lab to the state after task *to*, or after the last one, from a fresh start.

    The learner's files stay as they are.

    Returns:
        what of the lab before had to go.

    Raises:
        UnknownName: the exercise has no such task.
        LabError: the solution does not work; with what it printed.
    """
    last = exercise.task(to) if to else exercise.tasks[-1]
    cells(exercise)  # before the learner's lab is thrown away
    _, went = lifecycle.reset(engine, exercise, learner, say)
    with Solver(exercise, learner) as solver:
        for task in exercise.tasks[: exercise.tasks.index(last) + 1]:
            say(f"Solving: {task.title}")
            solver.solve(task.id)
    return went


class Solver:
    """Solves task after task in one lab that runs already."""

    def __init__(self, exercise: Exercise, learner: str) -> None:
        self._exercise = exercise
        self._folder = tempfile.TemporaryDirectory(prefix="dockyard-solve-")
        #: The exercise's files, as the solution has left them so far.
        self.files = Path(self._folder.name) / exercise.id
        shutil.copytree(exercise.folder, self.files)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "dockyard.solution", exercise.id, learner],
            cwd=self.files,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def __enter__(self) -> "Solver":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.communicate()
        self._folder.cleanup()

    def solve(self, task: str) -> None:
        """Solve the next task.

        Raises:
            LabError: its solution does not work; with what it printed.
        """
        assert self._process.stdin
        assert self._process.stdout
        print(task, file=self._process.stdin, flush=True)
        printed = []
        for line in self._process.stdout:
            if line == f"{DONE}\n":
                return
            printed.append(line)
        end = "".join(printed[-15:]).strip()
        raise LabError(f'The solution of "{task}" does not work:\n{end}')


#: What the process prints after a task; its own line, whatever cells print.
DONE = "=== dockyard: task done ==="


def cells(exercise: Exercise) -> list[tuple[str, str]]:
    """Id and code of the source notebook's cells, without its checks and their panel.

    Raises:
        UnknownName: this is a learners' kit, which has no solutions.
    """
    text = exercise.notebook.read_text()
    if "### BEGIN SOLUTION" not in text:
        raise UnknownName(f'This kit has no solution of "{exercise.id}": ask your instructor.')
    notebook = json.loads(text)
    return [
        (cell["id"], "".join(cell["source"]))
        for cell in notebook["cells"]
        if cell["cell_type"] == "code" and not cell["id"].startswith(("check-", "panel"))
    ]


def _serve(exercise_id: str, learner: str) -> None:
    """Run the cells up to each task that standard input names."""
    from IPython.core.interactiveshell import InteractiveShell

    os.environ["JUPYTERHUB_USER"] = learner
    shell = InteractiveShell.instance()
    code = iter(cells(load_exercise(exercise_id)))
    for line in sys.stdin:
        for cell_id, source in code:
            shell.user_ns["_exit_code"] = 0
            # `!…` does not raise when its command fails, it leaves the status.
            done = shell.run_cell(source)  # type: ignore[no-untyped-call]
            if not done.success or shell.user_ns["_exit_code"]:
                sys.exit(f'cell "{cell_id}" failed')
            if cell_id == line.strip():
                break
        print(f"\n{DONE}", flush=True)


if __name__ == "__main__":
    _serve(*sys.argv[1:])
