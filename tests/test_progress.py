"""What a learner has reached stays reached, and the start page shows it."""

from collections.abc import Callable
from pathlib import Path

import docker
import pytest

from dockyard import progress, report
from dockyard.course import exercise_ids, load_exercise
from dockyard.keeping import Engine
from dockyard.lab import Lab, LabName
from dockyard.report import CriterionResult, Outcome
from dockyard.screen.home import Home, Part, home

ID = "02_clustering"


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test touches what the person at this machine has reached."""
    monkeypatch.setattr(LabName, "reached", property(lambda name: tmp_path / name.exercise))


def look(**outcomes: Outcome) -> None:
    """Remember a report of criteria of the first task, two points each."""
    criteria = [
        CriterionResult(
            id_, id_, "form-the-swarm", outcome, 2.0 * (outcome == "passed"), 2, "", "", "", []
        )
        for id_, outcome in outcomes.items()
    ]
    progress.remember(report.make(ID, "ann", criteria, 0))


def points() -> tuple[float, float]:
    known = progress.of(ID, "ann")
    return known.points, known.max_points


def test_what_was_met_stays_met() -> None:
    look(nodes="passed", manager="failed")
    look(nodes="failed", manager="passed")
    assert points() == (4, 4)


def test_a_look_at_one_task_leaves_the_others() -> None:
    look(nodes="passed")
    look(manager="blocked")
    assert points() == (2, 4)


def test_an_error_is_nobodys() -> None:
    look(nodes="error")
    assert points() == (0, 0)


def test_a_broken_file_costs_what_was_in_it_only(tmp_path: Path) -> None:
    look(nodes="passed")
    next(tmp_path.rglob("*.json")).write_text("{")
    assert points() == (0, 0)
    look(nodes="passed")
    assert points() == (2, 2)


def test_the_next_step_is_the_first_open_task() -> None:
    exercise = load_exercise(ID)
    assert progress.of(ID, "ann").open_task(exercise) == "form-the-swarm"
    look(nodes="passed", manager="failed")
    assert progress.of(ID, "ann").open_task(exercise) == "form-the-swarm"
    look(manager="passed")
    assert progress.of(ID, "ann").open_task(exercise) == exercise.tasks[1].id


def test_the_start_page_leads_to_every_part() -> None:
    look(nodes="passed")
    parts = [Part(load_exercise(each), progress.of(each, "ann"), 0) for each in exercise_ids()]
    page = Home(parts, {ID: 2**27})._repr_html_()
    for exercise_id in exercise_ids():
        assert f'href="{exercise_id}.ipynb"' in page
        assert f'href="../work/{exercise_id}/{exercise_id}.ipynb"' in page
    assert "2 of 2 points" in page
    assert page.count("not begun") == len(parts) - 1
    assert f"{ID}: 128 MB" in page


@pytest.mark.lab
def test_home_knows_what_labs_use(
    outer: docker.DockerClient, learner: str, fresh_lab: Callable[[str], Lab]
) -> None:
    assert home(Engine(outer), learner).labs == {}
    fresh_lab("00_images")
    found = home(Engine(outer), learner)
    assert list(found.labs) == ["00_images"]
    assert 10 * 2**20 < found.labs["00_images"] < 2**30
    assert "00_images" in repr(found)
