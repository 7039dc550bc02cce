"""Runs one grader with pytest, inside the checker's forked process.

A grader is a pytest module; each test is a criterion:

    @pytest.mark.criterion(task="form-the-swarm", points=2, look="docker node ls")
    def test_three_nodes_ready(swarm, expect):
        \"\"\"The swarm has three nodes, all Ready\"\"\"
        expect(len(swarm.ready) == 3, "3 Ready nodes", swarm.describe())

`needs=[…]` names criteria without which this one is blocked; `probe=True` says that it does
something and sees what happens, `disturbs=True` that it even takes something away for a moment.
What `expect` finds untrue is the learner's; every other exception is ours, and makes the outcome
"error".
"""

import os
import sys
import tempfile
from collections.abc import Callable, Generator
from typing import Any

import docker
import msgspec
import pytest
from docker.errors import DockerException
from requests.exceptions import RequestException
from testinfra.host import Host

from dockyard import engine
from dockyard.course import Exercise, load_exercise
from dockyard.errors import CourseError, LabError
from dockyard.lab import Lab, containers, find
from dockyard.report import CriterionResult, Outcome, Step, Tell, nobody
from dockyard.settings import state_dir
from dockyard.shell import Shell, testinfra_host
from dockyard.waiting import wait_until

#: What a gentle look says of criteria that it does not try.
SKIPPED = "takes something away for a moment, so it is tried only when you press Check"


class Criterion(msgspec.Struct, frozen=True):
    """What a grader says of one of its tests."""

    id: str
    title: str
    task: str
    points: float
    look: str
    needs: list[str] = []
    probe: bool = False
    disturbs: bool = False


class Unmet(Exception):
    """The learner's lab is not as a criterion expects it."""


class Expect:
    """Called by a criterion with what it expected and found; remembers both."""

    def __init__(self) -> None:
        self.expected = self.found = ""

    def __call__(self, met: object, expected: str, found: str) -> None:
        self.expected, self.found = expected, found
        if not met:
            raise Unmet


def criteria(exercise: Exercise) -> list[Criterion]:
    """The criteria of an exercise, without looking at any lab.

    Raises:
        CourseError: the grader cannot be read.
    """
    collector = _Collector(exercise)
    _pytest(exercise, ["--collect-only"], collector)
    return collector.criteria


def run(
    exercise_id: str,
    learner: str,
    task: str | None = None,
    gently: bool = False,
    tell: Tell = nobody,
) -> list[CriterionResult]:
    """Look at a lab.

    Args:
        task: look at this task's criteria only.
        gently: take nothing away; criteria that would are skipped.
        tell: gets each criterion as soon as it was looked at.

    Raises:
        UnknownName, EngineError, LabError: there is no lab to look at.
        CourseError: the grader cannot be read.
    """
    exercise = load_exercise(exercise_id)
    outer = engine.connect()
    grader = _Grader(exercise, outer, find(outer, exercise, learner), task, gently, tell)
    _pytest(exercise, [], grader)
    return [each for each in grader.results.values() if task in (None, each.task)]


def warm_up() -> None:
    """Let pytest load what it loads with its first run, before checks are forked."""
    # Each check imports the graders anew: they are compiled once, whatever this Python's habits.
    sys.pycache_prefix, sys.dont_write_bytecode = str(state_dir() / "compiled"), False
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    with tempfile.TemporaryDirectory() as empty:
        quietly = ["-p", "no:terminal", "-p", "no:cacheprovider"]
        pytest.main(["-c", os.devnull, "--rootdir", empty, *quietly, empty])


def _pytest(exercise: Exercise, options: list[str], plugin: "_Collector") -> None:
    if not exercise.grader.is_file():
        raise CourseError(f'Exercise "{exercise.id}" has no grader "{exercise.grader.name}".')
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    arguments = ["-c", os.devnull, "--rootdir", str(exercise.grader.parent)]
    arguments += ["--confcutdir", str(exercise.grader.parent), "-o", "python_files=grade_*.py"]
    # Criteria say what they found; rewriting their asserts would cost more than most of them do.
    arguments += ["--assert", "plain", "-p", "no:terminal", "-p", "no:cacheprovider"]
    # Nor do they wait for the collector to find what they left open.
    arguments += ["-p", "no:unraisableexception"]
    arguments += [*options, str(exercise.grader)]
    ended = pytest.main(arguments, plugins=[plugin])
    if ended == pytest.ExitCode.INTERRUPTED and not plugin.broken:
        raise LabError("The check was interrupted before it had a result.")
    if ended in (pytest.ExitCode.INTERNAL_ERROR, pytest.ExitCode.USAGE_ERROR):
        raise LabError("pytest itself failed, so nobody knows the result.")
    if plugin.broken:
        raise CourseError(f'The grader of "{exercise.id}" is broken: {plugin.broken}')


class _Collector:
    """A pytest plugin that reads what a grader says of its criteria."""

    def __init__(self, exercise: Exercise) -> None:
        self.exercise = exercise
        self.criteria: list[Criterion] = []
        self.broken = ""

    def pytest_configure(self, config: pytest.Config) -> None:
        config.addinivalue_line("markers", "criterion: a graded sentence")
        config.option.tbstyle = "native"  # nobody reads it, and others read the sources for it

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.broken = str(report.longrepr).strip().splitlines()[-1]

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        tasks = [task.id for task in self.exercise.tasks]
        for item in items:
            try:
                criterion = _criterion(item)
            except (TypeError, ValueError) as error:
                self.broken = f"{item.name}: {error}"
                return
            if criterion.task not in tasks:
                self.broken = f'{item.name}: the exercise has no task "{criterion.task}"'
            self.criteria.append(criterion)


class _Grader(_Collector):
    """A pytest plugin that looks at one lab and keeps every criterion's outcome."""

    def __init__(
        self,
        exercise: Exercise,
        outer: docker.DockerClient,
        lab: Lab,
        task: str | None,
        gently: bool,
        tell: Tell,
    ) -> None:
        super().__init__(exercise)
        self._tell, self._of = tell, 0
        self.results: dict[str, CriterionResult] = {}
        self._outer = outer
        self._lab = lab
        self._task = task
        self._gently = gently
        self._expects: dict[str, Expect] = {}
        self._shells: dict[tuple[str, str], Shell] = {}
        self._started = self._start_times()

    # What graders ask for

    @pytest.fixture(name="lab")
    def _lab_fixture(self) -> Lab:
        return self._lab

    @pytest.fixture(name="expect")
    def _expect_fixture(self, request: pytest.FixtureRequest) -> Expect:
        return self._expects.setdefault(request.node.name, Expect())

    @pytest.fixture(name="wait_until")
    def _wait_until_fixture(self) -> Callable[..., Any]:
        return wait_until

    @pytest.fixture(name="on_host")
    def _on_host_fixture(self) -> Callable[[str], Host]:
        """testinfra on a host of the lab."""
        there = containers(self._outer, self._lab.name)
        return lambda host: self._testinfra(self._outer, str(there[host].id), host)

    @pytest.fixture(name="in_container")
    def _in_container_fixture(self) -> Callable[[str, str], Host]:
        """testinfra in a container that runs on a host of the lab."""
        return lambda host, container: self._testinfra(self._lab.client(host), container, host)

    def _testinfra(self, client: docker.DockerClient, container: str, host: str) -> Host:
        key = (host, container)
        if key not in self._shells:
            self._shells[key] = Shell(client, container, host)
        return testinfra_host(self._shells[key])

    # How pytest is led

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        super().pytest_collection_modifyitems(items)
        wanted = self._wanted()
        items[:] = [item for item in items if _id(item) in wanted] if not self.broken else []
        self._of = len(items)

    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        needs = [self.results[need] for need in _criterion(item).needs if need in self.results]
        for need in needs:
            if need.outcome != "passed" and not need.skipped:
                pytest.skip(f'needs "{need.title}"')
        if self._gently and (_criterion(item).disturbs or any(need.skipped for need in needs)):
            pytest.skip(SKIPPED)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        done = yield
        if call.when == "call" or (call.when == "setup" and call.excinfo):
            criterion = _criterion(item)
            expect = self._expects.get(item.name, Expect())
            result = self._result(criterion, expect, call.excinfo)
            self.results[criterion.id] = result
            self._tell(Step(result, len(self.results), self._of))
        return done

    def _result(
        self,
        criterion: Criterion,
        expect: Expect,
        raised: pytest.ExceptionInfo[BaseException] | None,
    ) -> CriterionResult:
        outcome: Outcome = "passed"
        found = expect.found
        if raised is not None:
            error = raised.value
            if isinstance(error, pytest.skip.Exception):
                outcome, found = "blocked", str(error.msg)
            elif trouble := self._trouble():
                outcome, found = "error", trouble
            elif isinstance(error, Unmet):
                outcome = "failed"
            else:
                outcome, found = "error", _describe(error)
        return CriterionResult(
            id=criterion.id,
            title=criterion.title,
            task=criterion.task,
            outcome=outcome,
            points=criterion.points if outcome == "passed" else 0.0,
            max_points=criterion.points,
            expected=expect.expected,
            found=found,
            look=criterion.look,
            needs=criterion.needs,
            skipped=found == SKIPPED,
        )

    def _wanted(self) -> set[str]:
        """The ids of the task's criteria and of all that they need."""
        by_id = {each.id: each for each in self.criteria}
        wanted: set[str] = set()
        rest = [each.id for each in self.criteria if self._task in (None, each.task)]
        while rest:
            each = rest.pop()
            if each not in wanted:
                wanted.add(each)
                rest += by_id[each].needs
        return wanted

    def _start_times(self) -> dict[str, str]:
        return {
            host: container.attrs["State"]["StartedAt"] if container.status == "running" else ""
            for host, container in containers(self._outer, self._lab.name).items()
        }

    def _trouble(self) -> str:
        """What happened to a host of the lab since the check began, if anything did."""
        now = self._start_times()
        for host in self._lab.hosts:
            if not now.get(host):
                return self._lab.unreachable(host)
            if now[host] != self._started.get(host):
                return f'Lab host "{host}" was started anew during the check. Check again.'
        return ""


def _id(item: pytest.Item) -> str:
    return item.name.removeprefix("test_")


def _criterion(item: pytest.Item) -> Criterion:
    mark = item.get_closest_marker("criterion")
    title = (getattr(item, "function", None).__doc__ or "").strip()
    if mark is None or not title:
        raise ValueError("a criterion takes @pytest.mark.criterion(…) and a sentence as docstring")
    return Criterion(id=_id(item), title=title, **mark.kwargs)


def _describe(error: BaseException) -> str:
    if isinstance(error, LabError | TimeoutError):
        return str(error)
    if isinstance(error, DockerException | RequestException | OSError):
        why = getattr(error, "explanation", None) or type(error).__name__
        return f"An engine of the lab gave no answer ({why}). Check again."
    return f"The grader is broken: {type(error).__name__}: {error}"
