"""What a learner's notebook uses: open_lab, check, hint.

In a submission's sandbox this module runs, too, with the package's top folder and few libraries:
what only a learner's own kernel needs is imported where it is used.
"""

import os
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Any

import docker

from dockyard import report, swarm
from dockyard.course import load_exercise
from dockyard.errors import DockyardError
from dockyard.lab import LAB_MARK, Lab, LabName
from dockyard.settings import GRADING, default_learner

if TYPE_CHECKING:
    from dockyard.keeper import Keeper

#: Variables that lead `docker` and the SDK to an engine.
DOCKER_VARIABLES = ["DOCKER_HOST", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH"]


class LearnerLab:
    """A lab as its learner sees it. Showing it shows its hosts and what they run, live."""

    def __init__(self, lab: Lab, keeper: "Keeper | None" = None) -> None:
        self._lab = lab
        self._keeper = keeper
        self.hosts = lab.hosts

    def client(self, host: str) -> docker.DockerClient:
        """The Docker SDK, connected to one host, whatever DOCKER_HOST says."""
        return self._lab.client(self._lab.known(host))

    def on(self, host: str) -> "On":
        """Turn `docker` and `docker.from_env()` to *host*: from now on, or for a `with` block."""
        return On(self._lab, host)

    def url(self, host: str, port: int) -> str:
        """Where your browser finds what *host* publishes on *port*."""
        return self._lab.url(host, port)

    def settle(self, timeout: float = 120) -> None:
        """Wait until every service of the swarm runs as many tasks as it wants.

        Tasks that can find no node are not waited for: `docker service ps` says why.

        Args:
            timeout: seconds.
        """
        swarm.settle(self._lab, timeout)

    def __repr__(self) -> str:
        return "\n".join(
            f"{host}: {', '.join(running) or 'no containers'}"
            for host, running in swarm.running_on(self._lab).items()
        )

    def panel(self) -> Any:
        """The check as a panel: it looks by itself when something happens in the lab."""
        return self._panel if self._keeper else None

    def timeline(self) -> Any:
        """What happened in the lab, and when each criterion was true: a strip, and a list."""
        if not self._keeper:
            return None
        from dockyard import grading, timeline
        from dockyard.picture.strip import Strip

        titles = {each.id: each.title for each in grading.criteria(self._lab.exercise)}
        return Strip(timeline.read(timeline.path_of(self._lab.name)), titles)

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        """The picture, live; where a submission is graded, words will do."""
        return (
            self._view._repr_mimebundle_(**kwargs) if self._keeper else {"text/plain": repr(self)}
        )

    def follow(self) -> None:
        """Begin to record what happens in it."""
        self._watcher.start()

    def judged(self, result: report.Report) -> None:
        """Show what a check has found on the lab's screen, too."""
        self._watcher.judged(result)

    def close(self) -> None:
        """Follow it no longer."""
        self._watcher.stop()

    @cached_property
    def _view(self) -> Any:
        from dockyard.screen.view import LabView

        assert self._keeper
        return LabView(self._keeper, self._lab, self._watcher)

    @cached_property
    def _panel(self) -> Any:
        from dockyard.screen.panel import CheckPanel

        assert self._keeper
        return CheckPanel(self._keeper, self._lab, self._watcher)

    @cached_property
    def _watcher(self) -> Any:
        from dockyard.screen.watching import Watcher

        assert self._keeper
        return Watcher(self._keeper, self._lab)

    def is_of(self, lab: Lab) -> bool:
        """Whether it leads to the same hosts."""
        return (self._lab.name, self._lab.ports) == (lab.name, lab.ports)


class On:
    """The Docker variables, turned to one host; as a context manager, turned back at its end."""

    def __init__(self, lab: Lab, host: str) -> None:
        self._before = {name: os.environ.get(name) for name in DOCKER_VARIABLES}
        _set_environment(lab, host)

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for name, value in self._before.items():
            os.environ.pop(name, None) if value is None else os.environ.update({name: value})


#: Those of this kernel: a lab that is opened again shows on the same screen.
_opened: dict[LabName, LearnerLab] = {}


def open_lab(exercise_id: str, learner: str | None = None) -> LearnerLab:
    """Start or find your lab for an exercise, and turn the Docker variables to its first host.

    Args:
        exercise_id: such as "02_clustering".
        learner: whose lab; yours by default.
    """
    exercise = load_exercise(exercise_id)
    name = LabName(exercise.id, learner or default_learner())
    if os.environ.get(GRADING):
        # The outer engine is out of this kernel's reach, and the lab is on its own network.
        lab = Lab(None, exercise, name)
        _set_environment(lab, lab.hosts[0])
        return LearnerLab(lab)
    from IPython import get_ipython

    from dockyard import keeping, whole_output

    whole_output.ensure()
    keeper = keeping.find(print)
    lab = keeper.up(exercise, name.learner, print)
    keeper.warm_up()
    _set_environment(lab, lab.hosts[0])
    os.environ.update(swarm.modes(lab))
    known = _opened.get(lab.name)
    if known is None or not known.is_of(lab):  # it was removed, and is another one now
        if known:
            known.close()
        known = _opened[lab.name] = LearnerLab(lab, keeper)
        if hasattr(get_ipython(), "kernel"):  # somebody works here; it is no script
            known.follow()
    return known


class _Later(float):
    """The points while nobody has looked yet."""

    def __repr__(self) -> str:
        return "Looked at from outside, when this notebook is done."


def check(exercise_id: str, task: str | None = None, learner: str | None = None) -> float:
    """Look at your lab, show what was expected and found, and return the points.

    nbgrader takes the points from this cell's value, so a lab that cannot be looked at raises
    and never counts as zero.

    Args:
        exercise_id: such as "02_clustering".
        task: only this task; all of them by default.
    """
    if os.environ.get(GRADING):
        return _Later()
    from IPython.display import HTML, DisplayHandle

    from dockyard import keeping, progress

    name = LabName(exercise_id, learner or default_learner())
    shown: Any = DisplayHandle()  # type: ignore[no-untyped-call]
    shown.display(HTML("Looking…"))  # type: ignore[no-untyped-call]
    result = keeping.find().check(
        load_exercise(exercise_id),
        name.learner,
        task,
        tell=lambda step: shown.update(HTML(f"{step}…")),  # type: ignore[no-untyped-call]
    )
    progress.remember(result)
    if name in _opened:
        _opened[name].judged(result)
    shown.update(HTML(report.to_html(result)))  # type: ignore[no-untyped-call]
    if result.points is None:
        raise DockyardError(report.total(result))
    return result.points


def home(learner: str | None = None) -> Any:
    """The course at a glance: what you have reached, the next step, and what your labs use."""
    from dockyard import keeping
    from dockyard.screen import home as course

    return course.home(keeping.find(print), learner or default_learner())


def hint(exercise_id: str, criterion: str | None = None, learner: str | None = None) -> None:
    """Show the next hint for the first criterion that is not met, or for one that you name."""
    if not os.environ.get(GRADING):
        from dockyard import hints, keeping

        exercise, name = load_exercise(exercise_id), learner or default_learner()
        print(hints.next_hint(keeping.find(), exercise, name, criterion))


def _set_environment(lab: Lab, host: str) -> None:
    """Turn the Docker variables to *host*; remember where the outer engine is."""
    if LAB_MARK not in os.environ:
        for name in DOCKER_VARIABLES:
            if name in os.environ:
                os.environ[name.replace("DOCKER_", "DOCKYARD_ENGINE_")] = os.environ[name]
    os.environ.update(lab.environment(host))
