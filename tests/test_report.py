"""Reports: sums, texts, and what must never be in them."""

import json

import pytest

from dockyard import report
from dockyard.report import CriterionResult, Outcome


def criterion(outcome: Outcome, points: float = 2, **fields: str) -> CriterionResult:
    return CriterionResult(
        id=fields.get("id", outcome),
        title=fields.get("title", "Something holds"),
        task="a-task",
        outcome=outcome,
        points=points if outcome == "passed" else 0,
        max_points=points,
        expected=fields.get("expected", "3 nodes"),
        found=fields.get("found", "2 nodes"),
        look="docker node ls",
        needs=[],
    )


def test_points_add_up() -> None:
    made = report.make("x", "me", [criterion("passed"), criterion("failed", 3)], 0.123)
    assert (made.points, made.max_points, made.seconds) == (2, 5, 0.12)
    assert not made.passed


def test_an_error_leaves_the_total_open() -> None:
    made = report.make("x", "me", [criterion("passed"), criterion("error")], 1)
    assert made.points is None
    assert json.loads(report.to_json(made))["points"] is None
    assert "Not graded" in report.to_text(made)


def test_json_is_the_documented_shape() -> None:
    fields = json.loads(report.to_json(report.make("x", "me", [criterion("failed")], 1)))
    assert list(fields) == ["exercise", "learner", "points", "max_points", "seconds", "criteria"]
    assert list(fields["criteria"][0]) == [
        "id", "title", "task", "outcome", "points", "max_points",
        "expected", "found", "look", "needs",
    ]  # fmt: skip
    assert report.from_json(report.to_json(report.make("x", "me", [], 1))).max_points == 0


@pytest.mark.parametrize("outcome", ["failed", "error"])
def test_text_says_expected_found_and_where_to_look(outcome: Outcome) -> None:
    text = report.to_text(report.make("x", "me", [criterion(outcome)], 1))
    assert "expected: 3 nodes" in text
    assert "found: 2 nodes" in text
    assert "look: docker node ls" in text


def test_html_shows_what_a_lab_says_as_text() -> None:
    attack = "<script>alert(1)</script>"
    html = report.to_html(report.make("x", "me", [criterion("failed", found=attack)], 1))
    assert "<script" not in html
    assert "&lt;script&gt;" in html
