"""What learners hand in is read with care, and what is said of it can be opened with care."""

import csv
from pathlib import Path

import pytest

from dockyard.classroom import export, records
from dockyard.classroom.records import Record, Result
from dockyard.classroom.submissions import SetAside, Submission, find
from dockyard.course import load_exercise
from dockyard.errors import UnknownName

EXERCISE = "02_clustering"
GOOD = '{"cells": [{"cell_type": "code", "source": ["a\\n", "b"], "outputs": 7}], "more": {}}'


def hand_in(folder: Path, learner: str, content: str | bytes = GOOD) -> Submission:
    path = folder / learner / EXERCISE / f"{EXERCISE}.ipynb"
    path.parent.mkdir(parents=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return Submission(learner, EXERCISE, path.parent)


def test_cells_are_all_that_is_read(tmp_path: Path) -> None:
    (cell,) = hand_in(tmp_path, "ann").cells()
    assert cell == {"cell_type": "code", "source": "a\nb", "metadata": {}}


@pytest.mark.parametrize(
    "content",
    [
        "",
        "no notebook",
        '{"cells": [',
        '{"cells": 7}',
        '{"worksheets": []}',
        '{"cells": [{"cell_type": "code", "source": 7}]}',
        '{"cells": [{"cell_type": "code", "metadata": []}]}',
        b'{"cells": [{"cell_type": "\xff"}]}',
        '{"cells": ' + "[" * 200_000,
    ],
    ids=["empty", "text", "cut", "number", "old", "source", "metadata", "bytes", "deep"],
)
def test_what_is_no_notebook_is_set_aside(tmp_path: Path, content: str | bytes) -> None:
    with pytest.raises(SetAside, match="is not a notebook"):
        hand_in(tmp_path, "ann", content).cells()


def test_links_are_not_followed(tmp_path: Path) -> None:
    for name, target in (("file", "/etc/hostname"), ("folder", "/etc"), ("nowhere", "/nowhere")):
        submission = hand_in(tmp_path, name)
        (submission.folder / "link").symlink_to(target)
        with pytest.raises(SetAside, match="is a link or a device"):
            submission.files()


def test_too_much_is_set_aside(tmp_path: Path) -> None:
    submission = hand_in(tmp_path, "ann")
    with (submission.folder / "large").open("wb") as stream:
        stream.truncate(60_000_000)
    with pytest.raises(SetAside, match="50 MB"):
        submission.files()


def test_a_submission_is_known_by_its_content(tmp_path: Path) -> None:
    submission = hand_in(tmp_path, "ann")
    before = submission.hash()
    assert hand_in(tmp_path, "ben").hash() == before
    assert submission.copy_to(tmp_path / "copy").hash() == before
    (submission.folder / "stack.yml").write_text("services: {}")
    assert submission.hash() != before


def test_names_that_nobody_can_have_are_shown_in_ascii(tmp_path: Path) -> None:
    hand_in(tmp_path, "red\x1b[31m")
    hand_in(tmp_path, " ann")
    hand_in(tmp_path, ".hidden")
    found = find(tmp_path, load_exercise(EXERCISE))
    assert [each.learner for each in found] == ["' ann'", "'red\\x1b[31m'"]
    for each in found:
        with pytest.raises(SetAside, match="cannot be a learner's name"):
            each.files()


def test_a_folder_without_submissions_says_how_they_lie(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match=f"<learner>/{EXERCISE}/{EXERCISE}.ipynb"):
        find(tmp_path, load_exercise(EXERCISE))


def test_a_record_holds_until_submission_grader_or_exercise_change() -> None:
    made_by = records.made_by(load_exercise(EXERCISE))
    record = Record("ann", EXERCISE, "graded", submission="1", made_by=made_by)
    assert record.holds("1", made_by)
    assert record.holds("1", {**made_by, "dockyard": "2"})
    assert not record.holds("2", made_by)
    assert not record.holds("1", {**made_by, "grader": "2"})
    assert not Record("ann", EXERCISE, "not graded", submission="1", made_by=made_by).holds(
        "1", made_by
    )


def test_a_spreadsheet_finds_no_formula(tmp_path: Path) -> None:
    names = ["=1+1", "+1", "-1", "@SUM(A1)", 'a,"b"']
    rows = [Record(name, EXERCISE, "not graded", "=reason") for name in names]
    export.write_csv(tmp_path / "grades.csv", load_exercise(EXERCISE), rows)
    with (tmp_path / "grades.csv").open(newline="") as stream:
        read = list(csv.DictReader(stream))
    assert sorted(row["learner"] for row in read) == ["'+1", "'-1", "'=1+1", "'@SUM(A1)", 'a,"b"']
    assert {row["remark"] for row in read} == {"'=reason"}
    assert {row["points"] for row in read} == {""}


def test_the_exit_code_tells_whose_it_is() -> None:
    graded, aside, ours = (
        Record("ann", EXERCISE, status) for status in ("graded", "set aside", "not graded")
    )
    assert Result([graded], 0).exit_code == 0
    assert Result([graded, aside], 0).exit_code == 1
    assert Result([graded, aside, ours], 0).exit_code == 2
    assert "The same command again" in export.to_text(Result([ours], 0))
