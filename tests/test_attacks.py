"""The attack corpus: none of it gains a point or leaves its box, and its neighbours get theirs."""

from pathlib import Path
from typing import Any

import docker
import pytest
from attacks import ATTACKS, HONEST, SCRIPT, WON, Attack
from toy_course import Course, make_toy_course

from dockyard import settings
from dockyard.classroom import sandbox

#: Seconds: no longer than an attack has to be waited for, but enough for honest neighbours.
CELL, NOTEBOOK = 20, 60
#: For one submission: its sandbox is ended after these; its lab and its page take some more.
SECONDS = (NOTEBOOK + sandbox.START + 90) * settings.patience()


@pytest.mark.lab
@pytest.mark.long
@pytest.mark.parametrize(
    "attacks",
    [
        pytest.param(ATTACKS[::4], id="every fourth"),
        pytest.param(ATTACKS, id="all", marks=pytest.mark.thorough),
    ],
)
def test_no_attack_gains_anything(
    attacks: list[Attack], outer: docker.DockerClient, tmp_path: Path
) -> None:
    """One class for all: a fresh one for each would take four times as long."""
    course = make_toy_course(tmp_path)
    with (course.folder / "nbgrader_config.py").open("a") as config:
        limits = f"{CELL}, {NOTEBOOK}"
        config.write(f"\nc.RunInLab.timeout, c.RunInLab.notebook_timeout = {limits}\n")
    for attack in attacks:
        course.submit("00_toy", attack.name, attack.content)
    for name, (content, _) in HONEST.items():
        course.submit("00_toy", name, content)
    _, said, _ = course.grade("00_toy", "--workers", "3")
    gains = {attack.name: gain(course, attack, said[attack.name]) for attack in attacks}
    assert {name: what for name, what in gains.items() if what} == {}
    assert {name: said[name]["points"] for name in HONEST} == {
        name: points for name, (_, points) in HONEST.items()
    }
    assert course.left_behind(outer) == []


def gain(course: Course, attack: Attack, row: dict[str, Any]) -> str:
    """What an attack has won, if anything."""
    if (row["status"], row["points"]) != (attack.status, attack.points):
        return f"{row['status']}, {row['points']} points: {row['reason']}"
    if attack.status != "graded":
        return ""
    page = course.feedback("00_toy", attack.name)
    if bad := [each for each in (WON, SCRIPT, "<img src=x") if each in page + row["reason"]]:
        return f"{bad} on the feedback page"
    if any(course.scores(attack.name).values()):
        return "points in the gradebook"
    return f"{row['seconds']['all']} s of time" if row["seconds"]["all"] > SECONDS else ""
