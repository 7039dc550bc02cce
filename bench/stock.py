"""Stock nbgrader as it comes: autograde, one submission after the other, each in a lab of its own.

`python -m bench.stock COURSE EXERCISE` prints the seconds that it takes. What is handed in runs
as you, and the points are what its check cells return.
"""

import os
import shutil
import sys
import time
from pathlib import Path
from typing import Any

from nbgrader.apps.api import NbGraderAPI
from traitlets.config import Config

from dockyard import engine, lifecycle
from dockyard.lab import LabName


def main(folder: Path, exercise: str) -> None:
    config = Config()
    config.CourseDirectory.root = str(folder / "stock")
    config.Execute.timeout = 120
    shutil.copytree(folder / "exercises" / exercise, folder / "stock" / "source" / exercise)
    shutil.copytree(folder / "handed-in", folder / "stock" / "submitted")
    api: Any = NbGraderAPI(config=config)  # type: ignore[no-untyped-call]
    made = api.generate_assignment(exercise)
    if not made["success"]:
        sys.exit(made["log"])
    client = engine.connect()
    started = time.monotonic()
    for learner in sorted(path.name for path in (folder / "handed-in").iterdir()):
        os.environ["JUPYTERHUB_USER"] = learner  # whose lab its notebook opens
        api.autograde(exercise, learner)  # a broken notebook is its own affair
        lifecycle.down(client, LabName(exercise, learner))
    print(time.monotonic() - started)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
