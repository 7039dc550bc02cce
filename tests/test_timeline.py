"""What happened in a lab is kept, read with care, and drawn."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import docker
import pytest

from dockyard import progress, report, timeline
from dockyard.keeping import Engine
from dockyard.lab import HOST_LABEL, Lab, LabName
from dockyard.picture.strip import Strip
from dockyard.report import CriterionResult, Outcome
from dockyard.screen.watching import Watcher
from dockyard.timeline import BREAK, Moment
from dockyard.waiting import wait_until

NAME = LabName("02_clustering", "ann")
START = 1_750_000_000.0
DEBIAN = "dockyard/debian:1"


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test touches what the person at this machine has reached."""
    monkeypatch.setattr(LabName, "reached", property(lambda name: tmp_path / name.exercise))


def at(seconds: float, kind: str = "container", name: str = "web", action: str = "start") -> Moment:
    return Moment(START + seconds, kind, name, action, "node1")


def event(kind: str, action: str, **attributes: str) -> dict[str, Any]:
    actor = {"ID": "0123456789abcdef", "Attributes": attributes}
    return {"Type": kind, "Action": action, "Actor": actor, "timeNano": int(START * 1e9)}


@pytest.mark.parametrize(
    ("happened", "words"),
    [
        (event("container", "start", name="vote.1.x7k2"), "node1: container vote.1 started"),
        (event("container", "die", name="w", exitCode="137"), "node1: container w ended (137)"),
        (
            event("container", "health_status: unhealthy", name="w"),
            "node1: container w is unhealthy",
        ),
        (event("service", "update", name="vote"), "node1: service vote changed"),
        (event("volume", "create"), "node1: volume 0123456789ab made"),
    ],
)
def test_events_are_told_in_words(happened: dict[str, Any], words: str) -> None:
    assert str(timeline.from_event(happened, "node1")) == words


@pytest.mark.parametrize(
    "happened",
    [
        event("container", "create", name="web"),
        event("container", "health_status: starting", name="web"),
        event("image", "load", name="web"),
        event("container", "exec_start: sh", name="web"),
    ],
)
def test_what_tells_nothing_is_left_out(happened: dict[str, Any]) -> None:
    assert timeline.from_event(happened, "node1") is None


def test_a_host_is_known_by_its_label() -> None:
    ours = event("container", "die", exitCode="0", **{HOST_LABEL: "node2"})
    assert str(timeline.from_outer_event(ours)) == "node2 ended (0)"
    assert timeline.from_outer_event(event("container", "die", exitCode="0")) is None


def looked(**outcomes: Outcome) -> None:
    criteria = [
        CriterionResult(id_, id_, "task", each, 0, 1, "", "", "", [])
        for id_, each in outcomes.items()
    ]
    progress.remember(report.make(NAME.exercise, NAME.learner, criteria, 0))


@pytest.mark.usefixtures("state")
def test_criteria_are_recorded_when_they_turn() -> None:
    looked(ready="failed", heals="blocked")
    looked(ready="passed", heals="failed")
    looked(ready="passed", heals="error")
    looked(ready="blocked", heals="passed")
    turns = [(each.name, each.action) for each in timeline.read(timeline.path_of(NAME))]
    assert turns == [("ready", "true"), ("ready", "false"), ("heals", "true")]


def test_what_two_have_written_is_read_once(tmp_path: Path) -> None:
    path = tmp_path / "lab.jsonl"
    timeline.record(path, [at(5), at(9)])
    timeline.record(path, [at(1), at(5)])
    assert timeline.read(path) == [at(1), at(5), at(9)]


@pytest.mark.parametrize(
    "line",
    [
        "", "{", "null", '"at"', "[" * 100_000, "{}", '{"at": "now"}', "\udc00",
        json.dumps({"at": 1e300, "kind": "container", "name": "w", "action": "start"}),
        json.dumps({"at": -1, "kind": "container", "name": "w", "action": "start"}),
        json.dumps({"at": START, "kind": ["container"], "name": "w", "action": "start"}),
    ],
)  # fmt: skip
def test_what_is_broken_is_left_out(tmp_path: Path, line: str) -> None:
    path = tmp_path / "lab.jsonl"
    timeline.record(path, [at(1)])
    with path.open("ab") as file:
        file.write(line.encode(errors="surrogatepass") + b"\n")
    timeline.record(path, [at(2)])
    assert timeline.read(path) == [at(1), at(2)]


def test_a_file_does_not_grow_for_ever(tmp_path: Path) -> None:
    path = tmp_path / "lab.jsonl"
    for number in range(40):
        timeline.record(path, [at(number * 100 + each) for each in range(100)])
    assert path.stat().st_size < timeline.MOST_BYTES * 1.1
    kept = timeline.read(path)
    assert kept[-1] == at(3999)
    assert len(kept) > 1000


def test_no_file_is_no_moments(tmp_path: Path) -> None:
    assert timeline.read(tmp_path / "none") == []
    assert timeline.read(tmp_path) == []


def test_breaks_are_no_work() -> None:
    assert timeline.minutes([]) == 0
    assert timeline.minutes([at(0), at(120), at(120 + 86_400), at(240 + 86_400)]) == 4 + BREAK / 60


def test_it_is_handed_in_beside_its_own_notebook_only(
    tmp_path: Path,
    state: None,  # noqa: ARG001 (where it is)
) -> None:
    timeline.record(timeline.path_of(NAME), [at(1)])
    own, other = tmp_path / NAME.exercise, tmp_path / "notebooks"
    for folder in (own, other):
        folder.mkdir()
        (folder / f"{NAME.exercise}.ipynb").touch()
        timeline.hand_in(NAME, folder)
    assert timeline.read(own / timeline.HANDED_IN) == [at(1)]
    assert not (other / timeline.HANDED_IN).exists()
    timeline.hand_in(LabName(NAME.exercise, "nobody"), own)  # has none: nothing is lost


TITLES = {"ready": "Three nodes are ready", "heals": "It heals"}
STORY = [
    Moment(START, "host", "node1", "start", "node1"),
    at(10),
    Moment(START + 12, "criterion", "ready", "true"),
    at(20, action="die"),
    Moment(START + 21, "criterion", "ready", "false"),
    Moment(START + 22, "hint", "ready", "given"),
    at(90_000),
    Moment(START + 90_001, "criterion", "ready", "true"),
]


def drawn(strip: Strip) -> list[str]:
    """What its signs say when somebody points at them."""
    svg = ElementTree.fromstring(strip.draw())  # noqa: S314
    return [str(each.text) for each in svg.iter("{http://www.w3.org/2000/svg}title")][1:]


def test_a_strip_shows_when_criteria_turned() -> None:
    told = [line.split(" ", 1)[1] for line in drawn(Strip(STORY, TITLES)) if "Three" in line]
    assert told == [
        "true: Three nodes are ready",
        "false: Three nodes are ready",
        "true: Three nodes are ready",
        "hint for: Three nodes are ready",
    ]


def test_what_happened_at_once_is_one_sign() -> None:
    strip = Strip([at(0), *[at(500 + each / 100) for each in range(20)], at(1000)], {})
    (crowd,) = [each for each in drawn(strip) if "\n" in each]
    assert crowd.splitlines()[-1] == "and 14 more"


def test_a_list_says_the_same_youngest_first() -> None:
    lines = Strip(STORY, TITLES).lines()
    assert lines[0].endswith("true: Three nodes are ready")
    assert lines[-1].endswith("node1 started")
    assert len(lines) == len(STORY)
    assert Strip([at(each) for each in range(500)], {}).lines()[-1] == "and 300 earlier"


@pytest.mark.parametrize("name", ["</svg><script>alert(1)</script>", "\x00\x1b[2J", "W" * 10**6])
@pytest.mark.parametrize("moments", [[], [at(0)], STORY])
def test_what_was_handed_in_stays_text(moments: list[Moment], name: str) -> None:
    hostile = [Moment(each.at, each.kind, name, name, name, name) for each in moments]
    strip = Strip([*moments, *hostile], {"ready": "Three nodes are ready"})
    svg = ElementTree.fromstring(strip.draw())  # noqa: S314
    assert {each.tag.rpartition("}")[2] for each in svg.iter()} <= {
        "svg", "title", "desc", "rect", "path", "text",
    }  # fmt: skip
    assert "<script" not in strip._repr_html_()
    assert len(strip.draw()) < 100_000


@pytest.mark.lab
def test_a_lab_is_recorded_also_before_and_without_anybody_listening(
    outer: docker.DockerClient, learner: str, fresh_lab: Callable[[str], Lab]
) -> None:
    lab = fresh_lab("00_images")
    path = timeline.path_of(LabName(lab.exercise.id, learner))
    run = lab.client("node1").containers.run
    began = time.time()
    run(DEBIAN, ["false"], name="before", detach=True)

    def told() -> list[str]:
        return [str(each) for each in timeline.read(path) if each.at > began - 1]

    watcher = Watcher(Engine(outer), lab)
    watcher.start()
    wait_until(lambda: "node1: container before ended (1)" in told(), 60)
    run(DEBIAN, ["true"], name="after", detach=True)
    wait_until(lambda: "node1: container after ended (0)" in told(), 60)
    watcher.stop()
    path.unlink()


def test_feedback_ends_with_what_was_handed_in(tmp_path: Path) -> None:
    from dockyard.classroom.scores import handed_in  # nbgrader takes seconds

    found = report.make(NAME.exercise, NAME.learner, [], 0)
    assert handed_in(tmp_path, found) == []
    (tmp_path / timeline.HANDED_IN).write_bytes(b"\x00no moments\n" * 9)
    assert handed_in(tmp_path, found) == []
    timeline.record(tmp_path / timeline.HANDED_IN, STORY)
    (cell,) = handed_in(tmp_path, found)
    assert "about 5 minutes of work, 1 hint." in cell.source
    assert "data:image/svg+xml" in cell.source
