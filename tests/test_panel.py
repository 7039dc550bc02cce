"""The panel and what it follows, without a page: when it looks, and what it keeps."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic

import docker
import pytest

from dockyard import report, solution
from dockyard.course import load_exercise
from dockyard.keeping import Engine
from dockyard.lab import PROBE_LABEL, Lab, LabName
from dockyard.picture.scene import Scene
from dockyard.report import CriterionResult, Outcome, Report, Step
from dockyard.screen.panel import CheckPanel
from dockyard.screen.watching import Listener, Watcher
from dockyard.waiting import wait_until

DEBIAN = "dockyard/debian:1"


def criterion(id_: str, outcome: Outcome, skipped: bool = False) -> CriterionResult:
    points = float(outcome == "passed")
    return CriterionResult(id_, id_, "task", outcome, points, 1, "", "", "", [], skipped)


def made(*criteria: CriterionResult) -> Report:
    return report.make("00_images", "nobody", [*criteria], 0)


@pytest.fixture
def panel() -> CheckPanel:
    exercise = load_exercise("00_images")
    lab = Lab(None, exercise, LabName(exercise.id, "nobody"))
    nobody = Engine(docker.DockerClient("tcp://127.0.0.1:9", version="1.41"))
    return CheckPanel(nobody, lab, Watcher(nobody, lab))


def outcomes(panel: CheckPanel) -> list[str]:
    return [each["outcome"] for each in panel.report["criteria"]]


def test_what_a_gentle_look_skips_keeps_its_outcome(panel: CheckPanel) -> None:
    panel.take(made(criterion("runs", "passed"), criterion("heals", "passed")))
    panel.take(made(criterion("runs", "failed"), criterion("heals", "blocked", skipped=True)))
    assert outcomes(panel) == ["failed", "passed"]
    assert list(panel.earlier) == ["heals"]
    assert panel.report["points"] == 1


def test_what_was_never_tried_is_said_to_be_so(panel: CheckPanel) -> None:
    panel.take(made(criterion("heals", "blocked", skipped=True)))
    assert (outcomes(panel), panel.earlier) == (["blocked"], {})


def test_what_is_blocked_is_so_now(panel: CheckPanel) -> None:
    """A criterion whose need has failed does not keep its green."""
    panel.take(made(criterion("runs", "passed"), criterion("heals", "passed")))
    panel.take(made(criterion("runs", "failed"), criterion("heals", "blocked")))
    assert (outcomes(panel), panel.earlier) == (["failed", "blocked"], {})


def test_a_whole_look_is_of_now(panel: CheckPanel) -> None:
    panel.take(made(criterion("heals", "passed")))
    panel.take(made(criterion("heals", "blocked", skipped=True)))
    panel.take(made(criterion("heals", "failed")))
    assert (outcomes(panel), panel.earlier) == (["failed"], {})


def test_criteria_show_one_by_one_while_a_look_runs(panel: CheckPanel) -> None:
    panel.take(made(criterion("runs", "failed"), criterion("heals", "failed")))
    panel.show_step(Step(criterion("runs", "passed"), 1, 2))
    assert outcomes(panel) == ["passed", "failed"]
    assert panel.step == [1, 2]
    panel.show_step(Step(criterion("heals", "blocked", skipped=True), 2, 2))
    assert outcomes(panel) == ["passed", "failed"]


def test_a_look_at_one_task_keeps_the_others(panel: CheckPanel) -> None:
    panel.take(made(criterion("runs", "failed"), criterion("heals", "failed")))
    panel.take(made(criterion("heals", "passed")))
    assert outcomes(panel) == ["failed", "passed"]
    assert list(panel.earlier) == ["runs"]


class Heard:
    """What a watcher tells."""

    def __init__(self, watcher: Watcher) -> None:
        self.scenes: list[Scene] = []
        self.happened = 0
        watcher.add(Listener(self.scenes.append, self._count))

    def _count(self) -> None:
        self.happened += 1

    @property
    def names(self) -> list[str]:
        return [each.name for each in self.scenes[-1].hosts[0].containers] if self.scenes else []


@contextmanager
def watched(outer: docker.DockerClient, lab: Lab) -> Iterator[tuple[Watcher, Heard]]:
    watcher = Watcher(Engine(outer), lab)
    heard = Heard(watcher)
    watcher.start()
    wait_until(lambda: heard.scenes, 60)
    yield watcher, heard
    watcher.stop()


@pytest.mark.lab
def test_a_graders_own_containers_are_not_seen(
    outer: docker.DockerClient, fresh_lab: Callable[[str], Lab]
) -> None:
    lab = fresh_lab("00_images")
    with watched(outer, lab) as (_, heard):
        run = lab.client("node1").containers.run
        run(DEBIAN, ["true"], name="probe", labels={PROBE_LABEL: "1"}, network="bridge")
        run(DEBIAN, ["true"], name="mine")
        wait_until(lambda: "mine" in heard.names, 60)
        assert not [scene for scene in heard.scenes if "probe" in str(scene)]


@pytest.mark.lab
def test_nothing_is_told_while_nothing_happens(
    outer: docker.DockerClient, fresh_lab: Callable[[str], Lab]
) -> None:
    lab = fresh_lab("00_images")
    with watched(outer, lab) as (_, heard):
        containers = lab.client("node1").containers
        mine = containers.create(DEBIAN, ["sleep", "60"])
        wait_until(lambda: heard.happened, 60)
        before = heard.happened
        containers.run(DEBIAN, ["true"], labels={PROBE_LABEL: "1"})
        containers.list()
        mine.rename("mine")
        wait_until(lambda: heard.happened > before, 60)
        assert heard.happened == before + 1


@pytest.mark.lab
def test_a_look_of_its_own_leads_to_no_other(
    outer: docker.DockerClient, learner: str, fresh_lab: Callable[[str], Lab]
) -> None:
    lab = fresh_lab("00_images")
    solution.solve(outer, lab.exercise, learner, lab.exercise.tasks[1].id)
    with watched(outer, lab) as (watcher, _):
        panel = CheckPanel(Engine(outer), lab, watcher)
        looks: list[float] = []
        panel.observe(lambda change: change["new"] or looks.append(monotonic()), "busy")
        panel.clicked({"hello": True})
        calm = 3  # seconds: a look takes one
        wait_until(lambda: looks and monotonic() - looks[-1] > calm, 120)
        assert len(looks) <= 2
        assert panel.report["points"]
