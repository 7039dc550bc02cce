"""What is handed in arrives where nbgrader keeps it: all of it, once, and nothing else.

No engine is needed: real zips, folders and a real nbgrader exchange, in a course of their own.
"""

import io
import json
import os
import random
import re
import shutil
import stat
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import IO

import pytest
from click.testing import CliRunner
from toy_course import make_toy_course

from dockyard.classroom.intake import archives
from dockyard.classroom.intake.collect import collect
from dockyard.classroom.intake.taking import Outcome
from dockyard.classroom.submissions import SetAside, find
from dockyard.cli import main
from dockyard.course import load_exercise
from dockyard.errors import CourseError, UnknownName

ID = "00_toy"
NOTEBOOK = f"{ID}.ipynb"
GOOD = '{"cells": []}'
LATER = '{"cells": [], "later": 1}'
NO_PLACE = "cannot be the name of a file"
Files = Mapping[str, str | bytes]


@pytest.fixture
def course(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A course with the exercise 00_toy, and another one."""
    folder = make_toy_course(tmp_path / "course").folder
    other = folder / "exercises" / "01_other"
    other.mkdir()
    (other / "exercise.toml").write_text((folder / f"exercises/{ID}/exercise.toml").read_text())
    monkeypatch.setenv("DOCKYARD_COURSE", str(folder))
    return folder


def zipped(files: Files | Iterable[tuple[str | zipfile.ZipInfo, str | bytes]]) -> bytes:
    stream = io.BytesIO()
    pairs = files.items() if isinstance(files, Mapping) else files
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in pairs:
            archive.writestr(name, content)
    return stream.getvalue()


def as_zip(path: Path, files: Files) -> Path:
    path.with_suffix(".zip").write_bytes(zipped(files))
    return path.with_suffix(".zip")


def as_folder(path: Path, files: Files) -> Path:
    for name, content in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def take(source: Path | None) -> dict[str, Outcome]:
    return {each.learner: each for each in collect(load_exercise(ID), source)}


def submitted(course: Path) -> dict[str, str]:
    """All files that were collected, by "learner/name"; nothing of what is there is a link."""
    folder = course / "grading" / "submitted"
    files = [path for path in folder.rglob("*") if not path.is_dir()]
    assert [path for path in files if path.is_symlink()] == []
    assert [path for path in files if path.relative_to(folder).parts[1] != ID] == []
    named = {str(path.relative_to(folder)).replace(f"/{ID}/", "/", 1): path for path in files}
    return {name: path.read_text(errors="replace") for name, path in named.items()}


def everything(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


LAYOUTS = {
    "Moodle, in folders": (
        {
            "Ann Lee_12345_assignsubmission_file_/00_toy.ipynb": GOOD,
            "Ann Lee_12345_assignsubmission_file_/app/stack.yml": "a",
            "Ann Lee_12345_assignsubmission_onlinetext_/onlinetext.html": "hello",
            "José O'Hara_12346_assignsubmission_file_/00_toy.ipynb": GOOD,
        },
        ["Ann Lee/00_toy.ipynb", "Ann Lee/app/stack.yml", "José O'Hara/00_toy.ipynb"],
    ),
    "Moodle of today, in folders": (
        {
            "Fay Orr_1006_assignsubmission_file/00_toy.ipynb": GOOD,
            "Fay Orr_1006_assignsubmission_file/backup/visits.csv": "a",
            "Fay Orr_1006_assignsubmission_file/a/x.txt": "a",
            "Fay Orr_1006_assignsubmission_file/b/x.txt": "b",
            "Fay Orr_1006_assignsubmission_onlinetext/onlinetext.html": "hello",
        },
        [
            *("Fay Orr/00_toy.ipynb", "Fay Orr/backup/visits.csv"),
            *("Fay Orr/a/x.txt", "Fay Orr/b/x.txt"),
        ],
    ),
    "Moodle, flat": (
        {
            "Ann Lee_12345_assignsubmission_file_00_toy.ipynb": GOOD,
            "Ann Lee_12345_assignsubmission_file_stack.yml": "a",
            "Default group_assignsubmission_file_00_toy.ipynb": GOOD,
        },
        ["Ann Lee/00_toy.ipynb", "Ann Lee/stack.yml", "Default group/00_toy.ipynb"],
    ),
    "Canvas": (
        {
            "leeann_LATE_12345_67890_00_toy.ipynb": GOOD,
            "leeann_LATE_12345_67891_my_stack.yml": "a",
            "obrien_bo_12346_67892_00_toy-1.ipynb": GOOD,
            "obrien_bo_12346_67893_note-1.txt": "b",  # a file of the exercise, once more
            "obrien_bo_12346_67894_own-2.txt": "c",
        },
        [
            *("leeann/00_toy.ipynb", "leeann/my_stack.yml"),
            *("obrien_bo/00_toy.ipynb", "obrien_bo/note.txt", "obrien_bo/own-2.txt"),
        ],
    ),
    "Canvas, without names": (
        {
            "anon_x7Bq1_67890_00_toy.ipynb": GOOD,
            "LATE_anon_12345_67891_00_toy-2.ipynb": GOOD,
        },
        ["anon_x7Bq1/00_toy.ipynb", "anon_12345/00_toy.ipynb"],
    ),
    "Blackboard": (
        {
            "Lab_2_3_annlee_attempt_2026-11-20-10-00-00_00_toy.ipynb": GOOD,
            "Lab_2_3_annlee_attempt_2026-11-20-10-00-00_my stack.yml": "a",
            "Lab_2_3_annlee_attempt_2026-11-20-10-00-00.txt": "Name: Ann Lee (annlee)",
            "Lab_2_3_b.o@x.org_attempt_2026-11-21-09-30-00_00_toy.ipynb": GOOD,
        },
        [
            *("annlee/00_toy.ipynb", "annlee/my stack.yml", "annlee/timestamp.txt"),
            *("b.o@x.org/00_toy.ipynb", "b.o@x.org/timestamp.txt"),
        ],
    ),
    "nbgrader": (
        {
            "ann/00_toy/00_toy.ipynb": GOOD,
            "ann/00_toy/app/stack.yml": "a",
            "ann/00_toy/timestamp.txt": "2026-11-20 10:00:00.5 UTC",
            "ann/01_other/01_other.ipynb": GOOD,
            "ben/01_other/01_other.ipynb": GOOD,  # handed in nothing for this exercise
        },
        ["ann/00_toy.ipynb", "ann/app/stack.yml", "ann/timestamp.txt"],
    ),
    "nbgrader's folder itself": (
        {"submitted/ann/00_toy/00_toy.ipynb": GOOD, "submitted/ben/00_toy/00_toy.ipynb": GOOD},
        ["ann/00_toy.ipynb", "ben/00_toy.ipynb"],
    ),
    "folders": (
        {"ann/00_toy.ipynb": GOOD, "ann/app/stack.yml": "a", "ben/lab (1).ipynb": GOOD},
        ["ann/00_toy.ipynb", "ann/app/stack.yml", "ben/00_toy.ipynb"],
    ),
    "files": (
        {"ann.ipynb": GOOD, "ben.zip": zipped({"work/00_toy.ipynb": GOOD, "work/a": "a"})},
        ["ann/00_toy.ipynb", "ben/00_toy.ipynb", "ben/a"],
    ),
}


@pytest.mark.parametrize("pack", [as_zip, as_folder])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts(
    tmp_path: Path, course: Path, layout: str, pack: Callable[[Path, Files], Path]
) -> None:
    files, expected = LAYOUTS[layout]
    outcomes = take(pack(tmp_path / "download", files))
    assert sorted(submitted(course)) == sorted(expected)
    assert {each.status for each in outcomes.values()} == {"collected"}
    assert {each.is_doubtful for each in outcomes.values()} == {False}
    assert set(outcomes) == {name.split("/")[0] for name in expected}
    assert [each.learner for each in find(course / "grading/submitted", load_exercise(ID))] == (
        sorted(outcomes)
    )


@pytest.mark.usefixtures("course")
def test_what_is_said(tmp_path: Path) -> None:
    files = {"ann/00_toy.ipynb": GOOD, "ann/a": "a", "ben.ipynb": GOOD, "cho/report.txt": "x"}
    source = as_zip(tmp_path / "all", {**files, "grades.csv": "x"})
    result = CliRunner().invoke(main, ["collect", ID, str(source)])
    assert result.stderr.splitlines() == [
        ' • "grades.csv": left out: its name does not tell whose it is; '
        "put it into a folder named for its learner",
        " • ann: collected, 2 files",
        " • ben: collected, 1 file",
        " • cho: set aside: there is no notebook in it",
    ]
    assert result.stdout == (
        "Collected 2, unchanged 0, set aside 1, left out 1. Next: dockyard grade 00_toy\n"
    )
    assert result.exit_code == 1
    as_zip(tmp_path / "all", {"ann/00_toy.ipynb": GOOD, "ann/a": "a", "ben.ipynb": LATER})
    result = CliRunner().invoke(main, ["collect", ID, str(source)])
    assert result.stderr == " • ben: collected, 1 file; in the place of what was there\n"
    assert result.stdout.startswith("Collected 1, unchanged 1, set aside 0, left out 0.")
    assert result.exit_code == 0


@pytest.mark.usefixtures("course")
def test_json(tmp_path: Path) -> None:
    source = as_zip(tmp_path / "all", {"ann.ipynb": GOOD, "ben/x": "x", "grades.csv": "x"})
    result = CliRunner().invoke(main, ["collect", ID, str(source), "--json"])
    left_out, ann, ben = json.loads(result.stdout)
    assert ann == {"learner": "ann", "status": "collected", "files": 1, "reason": ""}
    assert (ben["status"], ben["reason"]) == ("set aside", "there is no notebook in it")
    assert (left_out["learner"], left_out["status"]) == ("grades.csv", "left out")
    assert result.exit_code == 1


def test_when_it_was_handed_in(tmp_path: Path, course: Path) -> None:
    """Late penalties hang on it, so a learner's own file does not count."""
    source = {
        "Lab_ann_attempt_2026-11-20-10-00-00_00_toy.ipynb": GOOD,
        "Lab_ann_attempt_2026-11-20-10-00-00_timestamp.txt": "2020-01-01 00:00:00 UTC",
        "ben/00_toy/00_toy.ipynb": GOOD,
        "ben/00_toy/timestamp.txt": "2026-11-20 10:00:00.5 UTC\n",
        "cho/00_toy.ipynb": GOOD,
        "cho/timestamp.txt": "2020-01-01 00:00:00 UTC",
        "dee/00_toy/00_toy.ipynb": GOOD,
        "dee/00_toy/timestamp.txt": "soon",
        "eve.zip": zipped({"00_toy.ipynb": GOOD, "timestamp.txt": "2020-01-01 00:00:00 UTC"}),
        "fay/00_toy/fay.zip": zipped({"00_toy.ipynb": GOOD, "timestamp.txt": "2020-01-01"}),
        "fay/00_toy/timestamp.txt": "2026-11-21 10:00:00 UTC",
        "gus/00_toy/00_toy.ipynb": GOOD,
        "gus/00_toy/timestamp.txt": b"\xff",
    }
    outcomes = take(as_zip(tmp_path / "all", source))
    stamps = {name: text for name, text in submitted(course).items() if "timestamp" in name}
    assert stamps == {
        "ann/timestamp.txt": "2026-11-20 10:00:00",
        "ben/timestamp.txt": "2026-11-20 10:00:00.5 UTC\n",
        "fay/timestamp.txt": "2026-11-21 10:00:00 UTC",
    }
    doubted = [name for name in outcomes if "does not count" in outcomes[name].reason]
    assert doubted == ["cho", "dee", "eve", "gus"]
    assert {each.files for each in outcomes.values()} == {1}


def test_of_several_attempts_the_latest_counts(tmp_path: Path, course: Path) -> None:
    files = {
        "Lab_ann_attempt_2026-11-21-10-00-00_00_toy.ipynb": LATER,
        "Lab_ann_attempt_2026-11-20-10-00-00_00_toy.ipynb": GOOD,
        "Lab_ann_attempt_2026-11-20-10-00-00_stack.yml": "old",
        "Lab_ann_attempt_2026-11-20-10-00-00.txt": "receipt",
        "leebo_12345_67899_00_toy-1.ipynb": LATER,
        "leebo_12345_67890_00_toy.ipynb": GOOD,
    }
    outcomes = take(as_zip(tmp_path / "all", files))
    assert submitted(course) == {
        "ann/00_toy.ipynb": LATER,
        "ann/timestamp.txt": "2026-11-21 10:00:00",
        "leebo/00_toy.ipynb": LATER,
    }
    assert {each.reason for each in outcomes.values()} == {"the latest attempt"}


def test_who_handed_in_a_text_only_is_not_passed_over(tmp_path: Path, course: Path) -> None:
    files = {
        "Ann Lee_1_assignsubmission_onlinetext_/onlinetext.html": "see my blog",
        "Fay Orr_2_assignsubmission_onlinetext/onlinetext.html": "see my blog",
        "Lab_ben_attempt_2026-11-20-10-00-00.txt": "see my blog",
        "leecho_12345_text.html": "see my blog",
    }
    outcomes = take(as_zip(tmp_path / "all", files))
    assert {each.reason for each in outcomes.values()} == {"there is no notebook in it"}
    assert set(submitted(course).values()) == {"see my blog"}
    assert sorted(outcomes) == ["Ann Lee", "Fay Orr", "ben", "leecho"]


def test_namesakes_are_kept_apart(tmp_path: Path, course: Path) -> None:
    files = {
        "Ann Lee_1_assignsubmission_file_/00_toy.ipynb": GOOD,
        "Ann Lee_2_assignsubmission_file_/00_toy.ipynb": LATER,
        "Lab_x_lee_attempt_2026-11-20-10-00-00_00_toy.ipynb": GOOD,
        "Lab_y_lee_attempt_2026-11-20-10-00-00_00_toy.ipynb": LATER,
    }
    outcomes = take(as_zip(tmp_path / "all", files))
    assert sorted(outcomes) == ["Ann Lee_1", "Ann Lee_2", "Lab_x_lee", "Lab_y_lee"]
    assert {each.reason for each in outcomes.values()} == {"somebody else has the same name"}
    assert submitted(course)["Ann Lee_2/00_toy.ipynb"] == LATER


def test_nobody_hands_in_for_somebody_else(tmp_path: Path, course: Path) -> None:
    """Learners choose what follows their own name in a download."""
    tricks = ["Ann_1_assignsubmission_file_/00_toy.ipynb", "Ann_1_assignsubmission_file_x.ipynb"]
    tricks += ["ann_1_2_x.ipynb", "L_ann_attempt_2027-01-01-00-00-00_x.ipynb", "Ann/00_toy/x.ipynb"]
    files = {f"Ben_1_assignsubmission_file_/{trick}": GOOD for trick in tricks}
    files |= {f"Fay_2_assignsubmission_file/{trick}": GOOD for trick in tricks}
    files |= {f"cho/{trick}": GOOD for trick in tricks}
    flat = [trick for trick in tricks if "/" not in trick]
    files |= {f"dee_1_2_{trick}": GOOD for trick in flat}
    files |= {f"Lab_eve_attempt_2026-01-01-00-00-00_{trick}": GOOD for trick in flat}
    outcomes = take(as_zip(tmp_path / "all", files))
    assert sorted(name for name in outcomes if name.lower().startswith("ann")) == []
    assert {"Ben", "Fay", "cho", "dee"} <= set(outcomes)
    assert [name for name in submitted(course) if name.lower().startswith("ann")] == []


@pytest.mark.parametrize("leading", ["", ".*/"])
def test_names_are_read_as_the_course_says(tmp_path: Path, course: Path, leading: str) -> None:
    regexp = leading + r"(?P<file_id>\w+)~(?P<timestamp>[^~]+)~(?P<student_id>\w+)"
    with (course / "nbgrader_config.py").open("a") as config:
        config.write(f'\nc.FileNameCollectorPlugin.named_regexp = r"{regexp}"\n')
    files = {"00_toy~2026-11-20 10:00~ann.ipynb": GOOD, "ben/00_toy.ipynb": GOOD}
    files |= {"x~sometime~cho.ipynb": GOOD}
    take(as_zip(tmp_path / "all", files))
    assert sorted(submitted(course)) == [
        *("ann/00_toy.ipynb", "ann/timestamp.txt"),
        *("ben/00_toy.ipynb", "cho/00_toy.ipynb"),
    ]


@pytest.mark.parametrize("regexp", ["(?P<student_id>", "(?P<student_id>.*)"])
def test_a_broken_way_to_read_names_is_named(tmp_path: Path, course: Path, regexp: str) -> None:
    with (course / "nbgrader_config.py").open("a") as config:
        config.write(f'\nc.FileNameCollectorPlugin.named_regexp = r"{regexp}"\n')
    with pytest.raises(CourseError, match=r'"nbgrader_config.py": named_regexp (is broken|needs)'):
        take(as_zip(tmp_path / "all", {"ann.ipynb": GOOD}))


def test_the_folder_of_the_notebook_is_the_submission(tmp_path: Path, course: Path) -> None:
    work = {"all/00_toy/00_toy.ipynb": GOOD, "all/00_toy/a/b": "b", "all/01_other/x.ipynb": GOOD}
    files = {"ann/work.zip": zipped(work), "ann/report.txt": "x"}
    outcomes = take(as_zip(tmp_path / "all", files))
    assert sorted(submitted(course)) == ["ann/00_toy.ipynb", "ann/a/b"]
    assert outcomes["ann"].reason == "left out what is not beside its notebook: 2 files"


def test_junk_is_no_work(tmp_path: Path, course: Path) -> None:
    junk = ["__MACOSX/._00_toy.ipynb", ".ipynb_checkpoints/00_toy-checkpoint.ipynb", ".DS_Store"]
    work = {"00_toy.ipynb": GOOD, **dict.fromkeys([*junk, "Thumbs.db", ".git/config"], "junk")}
    files = {f"ann/{name}": content for name, content in work.items()} | {"ben.zip": zipped(work)}
    outcomes = take(as_zip(tmp_path / "all", {**files, "__MACOSX/._ann": "x", ".DS_Store": "x"}))
    assert submitted(course) == {"ann/00_toy.ipynb": GOOD, "ben/00_toy.ipynb": GOOD}
    assert {each.is_doubtful for each in outcomes.values()} == {False}


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"a.ipynb": GOOD, "b.ipynb": GOOD}, "which of its 2 notebooks"),
        ({"a/00_toy.ipynb": GOOD, "b/00_toy.ipynb": LATER}, "name the folder in which"),
        ({NOTEBOOK: GOOD, "old/00_toy.ipynb": LATER}, "which of its 2 notebooks"),
        ({"01_other.ipynb": GOOD}, '"01_other.ipynb" in it is the notebook of another exercise'),
        ({"report.txt": "x"}, "no notebook"),
        ({"a.zip": zipped({"a": "a"}), "b.zip": zipped({"b": "b"})}, "no notebook"),
        ({"a.zip": zipped({"b.zip": zipped({NOTEBOOK: GOOD})})}, "no notebook"),
        ({"a.zip": "Rar!"}, '"a.zip" is no zip that can be read'),
    ],
    ids=["two", "folders", "old", "other", "none", "zips", "zip in a zip", "rar"],
)
def test_what_cannot_be_taken_is_kept_as_it_is(
    tmp_path: Path, course: Path, files: Files, said: str
) -> None:
    source = {f"ann/{name}": content for name, content in files.items()} | {"ben.ipynb": GOOD}
    outcomes = take(as_zip(tmp_path / "all", source))
    assert outcomes["ann"].status == "set aside"
    assert said in outcomes["ann"].reason
    there = {name for name in submitted(course) if name.startswith("ann/")}
    if f"ann/{NOTEBOOK}" in source:
        assert there == {"ann/not-collected.txt"}
    else:
        assert there == {f"ann/{name}" for name in files}
    assert outcomes["ben"].status == "collected"
    ann, _ = find(course / "grading/submitted", load_exercise(ID))
    with pytest.raises(SetAside):
        ann.files()


def link() -> zipfile.ZipInfo:
    info = zipfile.ZipInfo("stack.yml")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return info


def encrypted() -> bytes:
    data = zipped({NOTEBOOK: GOOD})
    at = data.index(b"PK\1\2") + 8
    return data[:at] + b"\1" + data[at + 1 :]


def bzipped() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_BZIP2) as archive:
        archive.writestr(NOTEBOOK, GOOD)
    return stream.getvalue()


def lying() -> bytes:
    """A bomb that says that it is small, everywhere."""
    data, size = zipped({NOTEBOOK: bytes(60_000_000)}), struct.pack("<I", 60_000_000)
    assert data.count(size) == 2
    return data.replace(size, struct.pack("<I", 10))


def many(number: int) -> bytes:
    return zipped({f"{each}": "" for each in range(number)} | {NOTEBOOK: GOOD})


def bent(old: bytes, new: bytes) -> bytes:
    return zipped({NOTEBOOK: GOOD, old.decode(): "x"}).replace(old, new)


EVIL = f"{Path.home()}/evil-of-test_collect"
NB = (NOTEBOOK, GOOD)
HOSTILE_ZIPS: dict[str, tuple[Callable[[], bytes], str]] = {
    "up": (lambda: zipped([NB, ("../../../../evil", "x")]), NO_PLACE),
    "up, inside": (lambda: zipped([NB, ("a/../../../evil", "x")]), NO_PLACE),
    "absolute": (lambda: zipped([NB, (EVIL, "x")]), NO_PLACE),
    "backslashes": (lambda: zipped([NB, ("..\\..\\evil", "x")]), NO_PLACE),
    "drive": (lambda: zipped([NB, ("C:evil", "x")]), NO_PLACE),
    "empty name": (lambda: zipped([NB, ("a//b", "x")]), NO_PLACE),
    "dot": (lambda: zipped([NB, ("a/./b", "x")]), NO_PLACE),
    "colour": (lambda: zipped([NB, ("\x1b[31m", "x")]), NO_PLACE),
    "line": (lambda: zipped([NB, ("a\nann: collected", "x")]), NO_PLACE),
    "right to left": (lambda: zipped([NB, ("a\u202etxt.exe", "x")]), NO_PLACE),
    "no utf-8": (lambda: bent("ä.yml".encode(), b"\xff\xff.yml"), "no zip that can be read"),
    "long": (lambda: zipped([NB, ("a" * 5000, "x")]), NO_PLACE),
    "deep": (lambda: zipped([NB, ("a/" * 5000 + "a", "x")]), NO_PLACE),
    "file and folder": (lambda: zipped([NB, ("a", "x"), ("a/b", "x")]), NO_PLACE),
    "notebook and folder": (lambda: zipped([("x.ipynb", GOOD), (f"{NOTEBOOK}/b", "x")]), NO_PLACE),
    "link": (lambda: zipped([NB, (link(), "/etc/passwd")]), "link"),
    "encrypted": (lambda: encrypted(), "encrypted"),
    "bzip2": (lambda: bzipped(), "compressed in an unusual way"),
    "twice": (lambda: zipped([NB, (NOTEBOOK, LATER)]), "is in it twice"),
    "cut": (lambda: zipped([NB])[:-30], "no zip that can be read"),
    "damaged": (lambda: zipped([NB]).replace(b"PK\3\4", b"PK\3\5"), "cannot be read"),
    "bomb": (lambda: zipped([(NOTEBOOK, bytes(60_000_000))]), "50 MB"),
    "bomb of many": (
        lambda: zipped([NB, *((f"{n}", bytes(9_000_000)) for n in range(6))]),
        "50 MB",
    ),
    "bomb that lies": (lambda: lying(), "cannot be read"),
    "many": (lambda: many(1001), "1000 files"),
    "very many": (lambda: many(11_000), "1000 files"),
}


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("kind", HOSTILE_ZIPS)
def test_a_hostile_zip_harms_nobody(
    tmp_path: Path, course: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    make, said = HOSTILE_ZIPS[kind]
    hostile = make()
    Path(EVIL).unlink(missing_ok=True)
    read = zipfile.ZipExtFile.read

    def some(stream: zipfile.ZipExtFile, most: int | None = -1) -> bytes:
        assert 0 < (most or 0) <= 50_000_001  # never all that there may be
        return read(stream, most)

    monkeypatch.setattr(zipfile.ZipExtFile, "read", some)
    files = {"ann/work.zip": hostile, "ben.ipynb": GOOD}
    source = as_zip(tmp_path / "all", files)
    before = everything(tmp_path)
    lines: list[str] = []
    ann, ben = collect(load_exercise(ID), source, lines.append)
    assert (ann.status, ben.status) == ("set aside", "collected")
    assert said in ann.reason
    assert len(lines[0]) < 400
    assert lines[0].isprintable()
    folder = "course/grading/submitted"
    assert everything(tmp_path) - before == {
        *("course/grading", folder, f"{folder}/ann", f"{folder}/ann/{ID}"),
        *(f"{folder}/ann/{ID}/work.zip", f"{folder}/ben", f"{folder}/ben/{ID}"),
        f"{folder}/ben/{ID}/{NOTEBOOK}",
    }
    assert not Path(EVIL).exists()
    kept = course / "grading/submitted/ann" / ID / "work.zip"
    assert kept.read_bytes() == hostile


@pytest.mark.parametrize(
    "name",
    [
        *("../../../evil.ipynb", "/ann.ipynb", "//ann/a.ipynb", "../a.ipynb", "./../a.ipynb"),
        *(".hidden/a.ipynb", " ann/a.ipynb", "C:/a.ipynb", "a\\b.ipynb", "ann*/a.ipynb"),
        *("red\x1b[31m/a.ipynb", "ann\u202e.ipynb", "ann\nben.ipynb", "\u00a0.ipynb"),
        *("a" * 5000 + ".ipynb", "ä" * 60 + ".ipynb", "00_toy/00_toy.ipynb", "00_toy.ipynb"),
        *("a" * 5000 + "_1_assignsubmission_file_/a.ipynb", "x.exe", ".ipynb", "/.zip"),
        "Lab_.._attempt_2026-11-20-10-00-00_a.ipynb",
    ],
    ids=lambda name: ascii(name[:12]),
)
@pytest.mark.usefixtures("course")
def test_what_is_nobodys_is_left_out_and_named(tmp_path: Path, name: str) -> None:
    source = as_zip(tmp_path / "all", {name: GOOD, "ben.ipynb": GOOD})
    before = everything(tmp_path)
    lines: list[str] = []
    left_out, ben = collect(load_exercise(ID), source, lines.append)
    assert (left_out.status, ben.status) == ("left out", "collected")
    shown = name.removeprefix("./")
    assert lines[0][1:].startswith((shown[:8], ascii(shown)[1:9]))
    assert len(lines[0]) < 300
    assert lines[0].isprintable()
    new = everything(tmp_path) - before
    assert {each for each in new if not each.startswith("course/grading/submitted/ben")} == {
        *("course/grading", "course/grading/submitted")
    }
    assert CliRunner().invoke(main, ["collect", ID, str(source)]).exit_code == 1


def test_a_learner_is_told_even_if_a_file_has_an_odd_name(tmp_path: Path, course: Path) -> None:
    prefix = "Ann Lee_1_assignsubmission_file_/"
    outcomes = take(as_zip(tmp_path / "all", {prefix + NOTEBOOK: GOOD, prefix + "a\nb": "x"}))
    assert outcomes["Ann Lee"].reason == r"'a\nb' in it cannot be the name of a file"
    assert list(submitted(course)) == ["Ann Lee/not-collected.txt"]


def test_one_name_in_two_spellings_is_one_learner(tmp_path: Path, course: Path) -> None:
    """A Mac writes "é" as two characters."""
    take(as_zip(tmp_path / "all", {"Jos\u00e9/00_toy.ipynb": GOOD, "Jose\u0301/stack.yml": "a"}))
    assert sorted(submitted(course)) == ["José/00_toy.ipynb", "José/stack.yml"]


def test_a_file_twice_in_a_download_is_nothing_to_choose_from(tmp_path: Path, course: Path) -> None:
    source = tmp_path / "all.zip"
    with pytest.warns(UserWarning, match="Duplicate"):
        source.write_bytes(zipped([("ann/00_toy.ipynb", GOOD), ("ann/00_toy.ipynb", LATER)]))
    assert take(source)["ann"].reason == '"00_toy.ipynb" is in it twice'
    assert list(submitted(course)) == ["ann/not-collected.txt"]


def test_a_download_with_a_link_leaks_nothing(tmp_path: Path, course: Path) -> None:
    info = link()
    info.filename = "ann/00_toy.ipynb"
    source = tmp_path / "all.zip"
    source.write_bytes(zipped([(info, "/etc/passwd"), ("ben.ipynb", GOOD)]))
    assert "is a link" in take(source)["ann"].reason
    assert sorted(submitted(course)) == ["ann/not-collected.txt", "ben/00_toy.ipynb"]


def secret(course: Path) -> Path:
    path = course / "graders" / "secret.txt"
    path.write_text("the secret")
    return path


@pytest.mark.parametrize("kind", ["file", "folder", "learner", "nowhere", "pipe"])
def test_links_and_devices_in_a_folder_lead_nowhere(
    tmp_path: Path, course: Path, kind: str
) -> None:
    source = as_folder(tmp_path / "all", {"ann/00_toy.ipynb": GOOD, "ben/00_toy.ipynb": GOOD})
    if kind == "file":
        (source / "ann/stack.yml").symlink_to(secret(course))
    elif kind == "folder":
        (source / "ann/app").symlink_to(secret(course).parent)
    elif kind == "learner":
        (source / "cho").symlink_to(secret(course).parent)
    elif kind == "nowhere":
        (source / "ann/stack.yml").symlink_to("nowhere")
    else:
        os.mkfifo(source / "ann/stack.yml")
    outcomes = take(source)
    name, status = ("cho", "left out") if kind == "learner" else ("ann", "set aside")
    assert outcomes[name].status == status
    assert outcomes["ben"].status == "collected"
    assert "secret" not in "".join([*submitted(course), *submitted(course).values()])
    if kind != "learner":
        assert re.match(r'"ann/(app|stack.yml)" in it (is a link|.*device)', outcomes["ann"].reason)
        assert sorted(submitted(course)) == ["ann/not-collected.txt", "ben/00_toy.ipynb"]


@pytest.mark.parametrize("swapped", [".", "app", "app/stack.yml"])
def test_a_link_that_comes_late_is_not_followed(tmp_path: Path, course: Path, swapped: str) -> None:
    """Between the look at a file and its opening, a learner may put a link in its place."""
    folder = as_folder(tmp_path / "ann", {"app/stack.yml": "a"})
    ((name, opener),) = archives.in_folder(folder)
    assert archives.read(name, opener, 9) == b"a"
    (folder / swapped).rename(tmp_path / "gone")
    aim = as_folder(course / "theirs", {"app/stack.yml": "secret"})
    (folder / swapped).symlink_to(aim / swapped)
    with pytest.raises(SetAside, match=r'"app/stack.yml" in it (is a link|cannot be read)'):
        archives.read(name, opener, 9)


def test_twice_is_once(tmp_path: Path, course: Path) -> None:
    files = {"ann/00_toy.ipynb": GOOD, "ann/a/b": "a", "ben/x": "x", "cho.zip": "no zip"}
    source = as_zip(tmp_path / "all", files)
    take(source)
    submissions = course / "grading" / "submitted"

    def states() -> dict[Path, tuple[int, int]]:
        return {
            path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in submissions.rglob("*")
        }

    before = states()
    outcomes = take(source)
    assert [each.status for each in outcomes.values()] == ["unchanged", "set aside", "set aside"]
    assert states() == before
    assert take(submissions)["ann"].status == "unchanged"  # collected from where it is
    (submissions / "ann" / ID / "a" / "b").unlink()
    assert take(source)["ann"].status == "collected"
    (submissions / "ann" / ID / "more").write_text("x")
    assert take(source)["ann"].status == "collected"
    assert states().keys() == before.keys()


def test_nothing_else_is_touched(tmp_path: Path, course: Path) -> None:
    folder = course / "grading" / "submitted"
    as_folder(folder, {"ann/01_other/x": "x", "zoe/00_toy/00_toy.ipynb": GOOD})
    as_folder(folder, {"ann/00_toy/00_toy.ipynb": GOOD, "ann/00_toy/old.yml": "x"})
    outcomes = take(as_zip(tmp_path / "all", {"ann.ipynb": LATER}))
    assert outcomes["ann"].reason == "in the place of what was there"
    assert {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()} == {
        *("ann/01_other/x", "ann/00_toy/00_toy.ipynb", "zoe/00_toy/00_toy.ipynb")
    }
    assert (folder / "ann/00_toy/00_toy.ipynb").read_text() == LATER


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(28, "No space left on device")])
@pytest.mark.parametrize(("at", "call"), [("write_bytes", 1), ("rename", 0), ("rename", 1)])
def test_what_is_interrupted_is_not_there_by_half(
    tmp_path: Path,
    course: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException,
    at: str,
    call: int,
) -> None:
    files = {"ann/00_toy.ipynb": GOOD, "ann/stack.yml": "old"}
    take(as_zip(tmp_path / "all", files))
    before = submitted(course)
    later = as_zip(tmp_path / "all", {"ann/00_toy.ipynb": LATER, "ann/stack.yml": "new"})
    real, calls = getattr(Path, at), iter(range(9))

    def broken(path: Path, value: object) -> object:
        if next(calls) == call:
            raise error
        return real(path, value)

    with monkeypatch.context() as patched:
        patched.setattr(Path, at, broken)
        result = CliRunner().invoke(main, ["collect", ID, str(later)])
    assert result.exit_code == 2
    assert "No space left" in result.stderr or "The same command goes on" in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert submitted(course) == before
    assert take(later)["ann"].status == "collected"
    assert submitted(course) == {"ann/00_toy.ipynb": LATER, "ann/stack.yml": "new"}
    assert [path.name for path in (course / "grading/submitted/ann").iterdir()] == [ID]


@pytest.mark.parametrize("moment", ["first", "between", "last"])
def test_what_a_killed_run_left_does_not_stay(tmp_path: Path, course: Path, moment: str) -> None:
    folder = course / "grading" / "submitted"
    new, old, there = ".00_toy.new/00_toy.ipynb", ".00_toy.old/00_toy.ipynb", "00_toy/00_toy.ipynb"
    left = {"first": [new, there], "between": [new, old], "last": [old, there]}[moment]
    as_folder(folder / "ann", dict.fromkeys(left, GOOD))
    said = take(as_zip(tmp_path / "all", {"ann.ipynb": GOOD}))["ann"].status
    assert said == "unchanged"  # so nothing was lost
    assert everything(folder) == {"ann", "ann/00_toy", "ann/00_toy/00_toy.ipynb"}


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("missing.zip", None, 'There is no "'),
        ("lab.ipynb", GOOD.encode(), "is no zip that can be read"),
        ("cut.zip", zipped({"ann.ipynb": GOOD})[:-9], "is no zip that can be read"),
        ("empty.zip", zipped({}), 'empty.zip" is nothing'),
        ("other.zip", zipped({"a.txt": "a", "b.txt": "b"}), 'other.zip" is "a.txt", "b.txt"'),
        ("mine.zip", zipped({"00_toy/00_toy.ipynb": GOOD}), '"00_toy/00_toy.ipynb"'),
        ("folder", None, 'folder" is nothing'),
    ],
)
def test_a_source_without_submissions(
    tmp_path: Path, course: Path, name: str, content: bytes | None, said: str
) -> None:
    source = tmp_path / name
    if content is not None:
        source.write_bytes(content)
    elif name == "folder":
        source.mkdir()
    result = CliRunner().invoke(main, ["collect", ID, str(source)])
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert said in line
    for layout in ("Moodle", "Canvas", "Blackboard", "<learner>/00_toy/<files>", "<learner>.zip"):
        assert layout in line
    assert not (course / "grading").exists()


@pytest.mark.usefixtures("course")
def test_a_zip_with_a_million_entries_is_not_even_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = as_zip(tmp_path / "all", {"ann/work.zip": many(11_000)})
    listed = archives.in_zip

    def in_zip(zipped: Path | IO[bytes]) -> object:
        assert zipped == source
        return listed(zipped)

    monkeypatch.setattr(archives, "in_zip", in_zip)
    assert "1000 files" in take(source)["ann"].reason


@pytest.mark.usefixtures("course")
def test_bent_zips_end_in_a_reason(tmp_path: Path) -> None:
    """Whatever is wrong with a zip, the others are collected."""
    chance = random.Random(7)  # noqa: S311
    good = zipped({NOTEBOOK: GOOD, "stack.yml": "a" * 99})
    files: dict[str, str | bytes] = {}
    for number in range(400):
        bent = bytearray(good)
        for _ in range(chance.randrange(1, 6)):
            bent[chance.randrange(len(bent))] = chance.randrange(256)
        files[f"learner{number}.zip"] = bytes(bent)
    outcomes = take(as_zip(tmp_path / "all", files))
    assert len(outcomes) == 400
    aside = [each for each in outcomes.values() if each.status == "set aside"]
    assert len(aside) > 200
    assert all(str(each).isprintable() and len(str(each)) < 300 for each in aside)


def test_grade_takes_what_was_collected(
    tmp_path: Path, course: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dockyard.classroom import grade

    result = CliRunner().invoke(main, ["grade", ID])
    assert (result.exit_code, "dockyard collect 00_toy SOURCE" in result.stderr) == (1, True)
    take(as_zip(tmp_path / "all", {"ann.ipynb": GOOD, "ben/x.txt": "x"}))
    asked: list[object] = []

    def stop(*given: object) -> None:
        asked.extend(given)
        raise UnknownName("far enough")

    monkeypatch.setattr(grade, "grade", stop)
    CliRunner().invoke(main, ["grade", ID])
    folder = asked[1]
    assert isinstance(folder, Path)
    assert folder == course / "grading" / "submitted"
    ann, ben = find(folder, load_exercise(ID))
    assert ann.copy_to(ann.folder) == ann  # it is graded where it lies
    assert submitted(course)["ann/00_toy.ipynb"] == GOOD
    with pytest.raises(SetAside, match="there is no"):
        ben.files()


class Exchange:
    """nbgrader's exchange, where learners write what they like."""

    def __init__(self, course: Path, folder: Path) -> None:
        self.inbound = folder / "dockyard" / "inbound"
        self.inbound.mkdir(parents=True)
        with (course / "nbgrader_config.py").open("a") as config:
            config.write(f'\nc.Exchange.root = "{folder}"\nc.ExchangeCollect.check_owner = False\n')

    def submit(self, name: str, files: Files, hour: int = 10) -> Path:
        """As `nbgrader submit` does."""
        when = f"2026-11-20 {hour}:00:00.250000 UTC"
        if not name.count("+") > 1:
            name = f"{name}+{ID}+{when}+x7Bq1"
            files = {**files, "timestamp.txt": when}
        folder = self.inbound / name
        folder.mkdir()
        return as_folder(folder, files)


@pytest.fixture(scope="module")
def gradebook(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty one: nbgrader takes seconds to make it."""
    course = make_toy_course(tmp_path_factory.mktemp("gradebook") / "course")
    Exchange(course.folder, course.folder / "exchange")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("DOCKYARD_COURSE", str(course.folder))
        with pytest.raises(UnknownName, match="Nothing"):
            take(None)
    return course.grading / "gradebook.db"


@pytest.fixture
def exchange(tmp_path: Path, course: Path, gradebook: Path) -> Exchange:
    (course / "grading").mkdir()
    shutil.copy(gradebook, course / "grading")
    return Exchange(course, tmp_path / "exchange")


def test_the_exchange(course: Path, exchange: Exchange) -> None:
    exchange.submit("ann", {NOTEBOOK: GOOD, "app/stack.yml": "a"})
    exchange.submit("ann", {NOTEBOOK: LATER}, hour=11)
    exchange.submit("ben+lee", {"lab.ipynb": GOOD})
    result = CliRunner().invoke(main, ["collect", ID])
    assert result.stderr == " • ann: collected, 1 file\n • ben+lee: collected, 1 file\n"
    assert result.stdout == (
        "Collected 2, unchanged 0, set aside 0, left out 0. Next: dockyard grade 00_toy\n"
    )
    assert submitted(course) == {
        "ann/00_toy.ipynb": LATER,
        "ann/timestamp.txt": "2026-11-20 11:00:00.250000",
        "ben+lee/00_toy.ipynb": GOOD,
        "ben+lee/timestamp.txt": "2026-11-20 10:00:00.250000",
    }


def test_the_exchange_again(course: Path, exchange: Exchange) -> None:
    exchange.submit("ann", {NOTEBOOK: GOOD, "old.yml": "a"})
    exchange.submit("ben", {NOTEBOOK: GOOD})
    assert {each.status for each in take(None).values()} == {"collected"}
    exchange.submit("ben", {NOTEBOOK: LATER}, hour=11)
    outcomes = take(None)
    assert [outcomes[name].status for name in ("ann", "ben")] == ["unchanged", "collected"]
    assert submitted(course)["ben/00_toy.ipynb"] == LATER
    result = CliRunner().invoke(main, ["collect", ID])
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.startswith("Collected 0, unchanged 2,")


HOSTILE_NAMES = [
    *(f"..+{ID}+2026-11-20 10:00:00 UTC+x", f" +{ID}+2026-11-20 10:00:00 UTC+x"),
    *(f"ben+{ID}+no time+x", f"cho+{ID}+{'9' * 99}+x", f"a\x1bb+{ID}+2026-11-20 10:00:00 UTC+x"),
]


@pytest.mark.parametrize("name", HOSTILE_NAMES, ids=ascii)
def test_no_name_in_the_exchange_stops_the_others(
    course: Path, exchange: Exchange, name: str
) -> None:
    exchange.submit(name, {NOTEBOOK: GOOD})
    exchange.submit("ann", {NOTEBOOK: GOOD})
    outcomes = take(None)
    assert outcomes.pop("ann").status == "collected"
    if not name.startswith("."):  # such names nbgrader does not even see
        (left_out,) = outcomes.values()
        assert left_out.status == "left out"
        assert left_out.learner in (name[:59] + "…", name, ascii(name)[1:-1])
    assert sorted(submitted(course)) == ["ann/00_toy.ipynb", "ann/timestamp.txt"]
    assert not (course / "grading" / ID).exists()


def nbgrader_collects(course: Path) -> str:
    command = [sys.executable, "-m", "nbgrader", "collect", ID, "--update"]
    result = subprocess.run(command, cwd=course, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return result.stderr


def dockyard_collects(course: Path) -> str:  # noqa: ARG001
    return CliRunner().invoke(main, ["collect", ID]).stderr


@pytest.mark.parametrize("way", [dockyard_collects, nbgrader_collects])
def test_the_exchange_leaks_no_secret(
    course: Path, exchange: Exchange, way: Callable[[Path], str]
) -> None:
    """nbgrader's own way copies what links lead to."""
    aim = secret(course)
    (exchange.submit("ann", {NOTEBOOK: GOOD}) / "stack.yml").symlink_to(aim)
    (exchange.submit("ben", {NOTEBOOK: GOOD}) / "app").symlink_to(aim.parent)
    (exchange.submit("cho", {}) / NOTEBOOK).symlink_to(aim)
    (exchange.inbound / f"dee+{ID}+2026-11-20 10:00:00 UTC+x").symlink_to(aim.parent)
    exchange.submit("eve", {NOTEBOOK: GOOD})
    exchange.submit("fay", {})
    way(course)
    said = way(course)  # it is said until it is mended
    aside = {f"{name}/not-collected.txt" for name in ("ann", "ben", "cho", "dee")}
    assert set(submitted(course)) == {*aside, "eve/00_toy.ipynb", "eve/timestamp.txt"} | {
        "fay/not-collected.txt"
    }
    assert "secret" not in "".join([*submitted(course), *submitted(course).values()])
    for name in ("ann", "ben", "cho", "dee"):
        assert f"{name}: set aside: " in said
        assert "is a link" in submitted(course)[f"{name}/not-collected.txt"]
    assert "fay: set aside: there is no notebook in it" in said


def test_a_forged_owner_is_named(course: Path, exchange: Exchange) -> None:
    with (course / "nbgrader_config.py").open("a") as config:
        config.write("\nc.ExchangeCollect.check_owner = True\n")
    os.chown(exchange.submit("ann", {NOTEBOOK: GOOD}), 54321, -1)
    result = CliRunner().invoke(main, ["collect", ID])
    assert "ann: collected, 1 file; handed in by user 54321: look into it" in result.stderr
    assert result.exit_code == 1


def test_without_an_exchange(tmp_path: Path, course: Path, gradebook: Path) -> None:
    folder = tmp_path / "exchange"
    with (course / "nbgrader_config.py").open("a") as config:
        config.write(f'\nc.Exchange.root = "{folder}"\n')
    result = CliRunner().invoke(main, ["collect", ID])
    assert (result.exit_code, result.stderr) == (
        1,
        f'dockyard: There is no nbgrader exchange at "{folder}" (c.Exchange.root in '
        '"nbgrader_config.py"). To collect from a zip or a folder, name it: '
        "dockyard collect 00_toy SOURCE.\n",
    )
    folder.mkdir()
    (course / "grading").mkdir(exist_ok=True)
    shutil.copy(gradebook, course / "grading")
    result = CliRunner().invoke(main, ["collect", ID])
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert "Course not found" in result.stderr
    (folder / "dockyard" / "inbound").mkdir(parents=True)
    result = CliRunner().invoke(main, ["collect", ID])
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert 'Nothing for "00_toy" is in "' in result.stderr
