"""What learners get: no solutions, all that they need, and never anything of theirs overwritten."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from dockyard.cli import main
from dockyard.course import exercise_ids, load_exercise
from dockyard.errors import UnknownName
from dockyard.release import ensure_work_copy, release, renew_work_copy
from dockyard.settings import course_dir

ROOT = course_dir()
STACK = "exercises/02_clustering/stack.yml"
NOTEBOOK = "exercises/02_clustering/02_clustering.ipynb"


@pytest.fixture(scope="module")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The kit of this checkout; for tests that change nothing in it."""
    folder = tmp_path_factory.mktemp("release") / "kit"
    assert release(folder).kept == []
    return folder


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A course of one exercise, without git."""
    course = tmp_path / "course"
    for name in (STACK, NOTEBOOK, "exercises/02_clustering/exercise.toml", "nbgrader_config.py"):
        (course / name).parent.mkdir(parents=True, exist_ok=True)
        (course / name).write_bytes((ROOT / name).read_bytes())
    (course / "exercises/02_clustering/near_misses.toml").write_text("secret")
    monkeypatch.setenv("DOCKYARD_COURSE", str(course))
    return course


@pytest.mark.parametrize("exercise_id", exercise_ids())
def test_a_released_notebook_has_no_solution(kit: Path, exercise_id: str) -> None:
    source = json.loads(load_exercise(exercise_id).notebook.read_text())["cells"]
    cells = json.loads((kit / f"exercises/{exercise_id}/{exercise_id}.ipynb").read_text())["cells"]
    assert len(cells) == len(source)
    for ours, theirs in zip(source, cells, strict=True):
        known = ours["metadata"].get("nbgrader", {})
        if known.get("solution"):
            assert "# Your commands go here." in "".join(theirs["source"])
            assert "SOLUTION" not in "".join(theirs["source"])
        else:
            assert theirs["source"] == ours["source"]
        if known.get("grade"):
            assert theirs["metadata"]["nbgrader"]["points"] == known["points"]
            assert theirs["metadata"]["nbgrader"]["locked"]
            assert theirs["metadata"]["editable"] is False
            assert theirs["metadata"]["deletable"] is False


def test_a_kit_has_what_a_learner_needs_and_no_more(kit: Path) -> None:
    files = {str(path.relative_to(kit)) for path in kit.rglob("*") if path.is_file()}
    assert {
        "Makefile",
        "pyproject.toml",
        "requirements.lock",
        "README.md",
        "LICENSE",
        "dockyard/cli.py",
        "graders/conftest.py",
        "graders/grade_02_clustering.py",
        "images/host/Dockerfile",
        "exercises/02_clustering/exercise.toml",
        STACK,
    } <= files
    assert [name for name in files if "near_misses" in name or name.startswith("tests/")] == []
    assert [path for path in kit.rglob("*.ipynb") if "SOLUTION" in path.read_text()] == []
    for script in ("images/host/start-engine", "images/debian/bootstrap"):
        assert (kit / script).stat().st_mode & 0o111 == (ROOT / script).stat().st_mode & 0o111


def test_a_kit_makes_work_copies(kit: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKYARD_COURSE", str(kit))
    made = ensure_work_copy("02_clustering")
    work = kit / "work" / "02_clustering"
    assert sorted(made) == [work / "02_clustering.ipynb", work / "stack.yml"]
    assert (work / "02_clustering.ipynb").read_bytes() == (kit / NOTEBOOK).read_bytes()


def test_a_kit_makes_kits(kit: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKYARD_COURSE", str(kit))
    made = release(tmp_path / "copy")
    files = {str(path.relative_to(kit)) for path in kit.rglob("*") if path.is_file()}
    left_out = {name for name in files - {*made.written} if not name.startswith("work/")}
    assert all(name.startswith(".") for name in left_out), left_out
    again = release(tmp_path / "copy")
    assert (again.written, again.kept) == ([], [])


def test_a_full_disk_leaves_no_half_files(
    kit: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKYARD_COURSE", str(kit))
    folder = tmp_path / "copy"
    command = f'ulimit -f 4; exec {sys.executable} -m dockyard release "{folder}"'
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "File too large" in done.stderr
    there = [path for path in folder.rglob("*") if path.is_file()]
    assert there
    assert all(path.read_bytes() == (kit / path.relative_to(folder)).read_bytes() for path in there)
    assert release(folder).kept == []


def test_changed_files_of_a_kit_stay_and_are_named(small: Path, tmp_path: Path) -> None:
    folder = tmp_path / "kit"
    runner = CliRunner()
    assert runner.invoke(main, ["release", str(folder)]).exit_code == 0
    (folder / NOTEBOOK).write_text("my work")
    (small / STACK).write_text("services: {}")
    (small / "exercises/02_clustering/new.txt").write_text("new")
    again = runner.invoke(main, ["release", str(folder)])
    assert again.exit_code == 0
    assert again.output.startswith("2 files written")
    assert f"Not overwritten, for somebody has changed it: {NOTEBOOK}" in again.output
    assert (folder / NOTEBOOK).read_text() == "my work"
    assert (folder / STACK).read_text() == "services: {}"  # as it was released: ours to renew
    assert release(folder).written == []
    assert release(folder).kept == [NOTEBOOK]


def test_a_folder_that_is_no_kit_is_not_overwritten(small: Path, tmp_path: Path) -> None:
    assert small.is_dir()
    (tmp_path / "mine" / STACK).parent.mkdir(parents=True)
    (tmp_path / "mine" / STACK).write_text("mine")
    assert release(tmp_path / "mine").kept == [STACK]
    assert (tmp_path / "mine" / STACK).read_text() == "mine"


def test_the_course_itself_is_no_kit(small: Path) -> None:
    with pytest.raises(UnknownName, match="is the course itself"):
        release(small)


def test_a_work_copy_is_never_overwritten(small: Path) -> None:
    work = small / "work" / "02_clustering"
    assert sorted(ensure_work_copy()) == [work / "02_clustering.ipynb", work / "stack.yml"]
    assert "SOLUTION" not in (work / "02_clustering.ipynb").read_text()
    (work / "02_clustering.ipynb").write_text("my work")
    (work / "stack.yml").unlink()
    assert ensure_work_copy() == [work / "stack.yml"]
    assert (work / "02_clustering.ipynb").read_text() == "my work"
    assert ensure_work_copy() == []


def test_new_files_put_the_old_ones_aside(small: Path) -> None:
    work = small / "work" / "02_clustering"
    assert renew_work_copy(load_exercise("02_clustering")) is None
    (work / "stack.yml").write_text("my work")
    aside = renew_work_copy(load_exercise("02_clustering"))
    assert aside
    assert (aside / "stack.yml").read_text() == "my work"
    assert (work / "stack.yml").read_text() == (small / STACK).read_text()


@pytest.mark.parametrize("target", ["test", "test-quick", "bench", "lint"])
def test_a_kit_says_where_its_tests_are(kit: Path, target: str) -> None:
    command = ["make", "--no-print-directory", target]  # whoever runs the tests may be a make
    done = subprocess.run(command, cwd=kit, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.count("\n")) == (2, 1)
    assert "in the full checkout" in done.stdout
