"""The tutorial: its files are sound, and every cell works on a real lab and shows what it says."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import msgspec
import nbformat
import pytest
import yaml
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from dockyard import checker, settings
from dockyard.course import exercise_ids, load_exercise

FOLDER = settings.course_dir() / "notebooks"
NOTEBOOKS = sorted(path.stem for path in FOLDER.glob("*.ipynb"))
PICTURES = sorted(str(path.relative_to(FOLDER)) for path in FOLDER.glob("*/*.svg"))
TIMEOUT = 240  # seconds for a cell, on a busy machine

#: Put before the first cell: a `!` command that fails then fails its cell, which IPython by itself
#: lets pass.
STRICT_SHELL = "get_ipython().system_raise_on_error = True"


def expectations(name: str) -> Any:
    """What a notebook's cells have to show: tests/shown/<name>.toml."""
    text = (Path(__file__).parent / "shown" / f"{name}.toml").read_text()
    return msgspec.toml.decode(text)


def read(name: str) -> Any:
    return nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)


def run(notebook: Any, learner: str) -> None:
    """Run a notebook top to bottom as *learner*, in its folder, with a strict shell."""
    notebook.cells.insert(0, nbformat.v4.new_code_cell(STRICT_SHELL))
    client = NotebookClient(
        notebook,
        timeout=TIMEOUT,
        kernel_name="python3",
        resources={"metadata": {"path": str(FOLDER)}},
    )
    client.execute(env={**os.environ, "JUPYTERHUB_USER": learner})


def shown(cell: Any) -> str:
    """All that a cell put out, as text; of what was displayed, every form of it."""
    parts = []
    for output in cell.outputs:
        parts.append(output.get("text", ""))
        parts += [str(form) for form in output.get("data", {}).values()]
    return "\n".join(parts).replace("\r", "")


@pytest.mark.lab
@pytest.mark.long
@pytest.mark.parametrize("name", NOTEBOOKS)
def test_notebook_runs_and_shows_what_it_says(name: str, learner: str) -> None:
    notebook = read(name)
    run(notebook, learner)
    by_id = {cell.id: cell for cell in notebook.cells}
    should = expectations(name)
    for cell_id, patterns in should["shown"].items():
        text, at = shown(by_id[cell_id]), 0
        for pattern in patterns:
            found = re.compile(pattern).search(text, at)
            assert found, f'cell "{cell_id}" does not show {pattern!r} in its place, but:\n{text}'
            at = found.end()
    for cell_id, unwanted in should.get("not_shown", {}).items():
        assert unwanted not in shown(by_id[cell_id])
    if name in exercise_ids():
        report = checker.check(load_exercise(name), learner)
        assert report.points == 0, "the tutorial leaves the lab untouched for the exercise"


def test_a_sandbox_needs_little_of_the_package() -> None:
    """Its top folder only, and few libraries: classroom/sandbox.py."""
    script = """import sys, dockyard.notebook
    print([name for name in sys.modules if name.count(".") > 1 and name.startswith("dockyard.")],
          *{"anywidget", "psutil", "pytest", "IPython"} & {*sys.modules})"""
    script = "\n".join(line.strip() for line in script.splitlines())
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize(
    "command", ["!false", "for _ in range(2):\n    !false\n!true", "kept = !false"]
)
def test_a_failed_command_fails_the_run(command: str) -> None:
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(command)])
    with pytest.raises(CellExecutionError, match="CalledProcessError"):
        run(notebook, "nobody")


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_notebook_is_sound(name: str) -> None:
    notebook = read(name)
    nbformat.validate(notebook)
    assert (notebook.nbformat, notebook.nbformat_minor) == (4, 5)
    assert notebook.metadata.kernelspec.name == "python3"
    ids = [cell.id for cell in notebook.cells]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch("[a-z0-9]+(-[a-z0-9]+)*", each) for each in ids), (
        "ids are given by hand"
    )
    assert set(expectations(name)["shown"]) <= set(ids)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert not any(cell.outputs or cell.execution_count for cell in code), "no outputs are kept"


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_notebook_opens_at_once_and_never_sleeps(name: str) -> None:
    assert (FOLDER / f"{name}.ipynb").stat().st_size < 100_000
    assert not any("sleep" in cell.source for cell in read(name).cells)


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_files_that_a_notebook_names_are_there(name: str) -> None:
    source = "\n".join(cell.source for cell in read(name).cells)
    named = set(re.findall(rf"{name}/[\w.-]+\.(?:svg|yml)", source)) - {f"{name}/{name}.ipynb"}
    there = {str(path.relative_to(FOLDER)) for path in (FOLDER / name).iterdir()}
    assert named == there, "each file is there, and each is used"
    for _, text in re.findall(r"!\[(.*?)\]\((.*?)\)", source):
        assert (FOLDER / text).exists()
    assert not re.search(r"!\[\]\(", source), "each picture says what it shows"


@pytest.mark.parametrize("picture", PICTURES)
def test_pictures_can_be_read(picture: str) -> None:
    """On a light page and on a dark one: they bring their own background."""
    svg = ElementTree.parse(FOLDER / picture).getroot()  # noqa: S314 (a file of ours)
    space = "{http://www.w3.org/2000/svg}"
    title, background = svg.find(f"{space}title"), svg.find(f"{space}rect")
    assert title is not None
    assert title.text
    assert background is not None
    assert background.get("fill")
    assert [background.get("width"), background.get("height")] == [
        svg.get("width"),
        svg.get("height"),
    ]
    assert svg.get("viewBox") == f"0 0 {svg.get('width')} {svg.get('height')}", (
        "drawn at its own size"
    )
    sizes = [float(each.get("font-size", "14")) for each in svg.iter()]
    assert min(sizes) >= 12


def test_the_start_page_leads_to_every_part() -> None:
    parts = {cell.id: cell.source for cell in read("start").cells}["parts"]
    for exercise_id in exercise_ids():
        assert f"({exercise_id}.ipynb)" in parts


def test_kubernetes_manifest_says_the_same_as_the_stack() -> None:
    folder = FOLDER / "02_clustering"
    services = yaml.safe_load((folder / "stack.yml").read_text())["services"]
    objects = list(yaml.safe_load_all((folder / "kubernetes.yml").read_text()))
    deployments = {
        each["metadata"]["name"]: each["spec"] for each in objects if each["kind"] == "Deployment"
    }
    assert set(deployments) == set(services)
    for name, spec in deployments.items():
        (container,) = spec["template"]["spec"]["containers"]
        environment = {each["name"]: each["value"] for each in container.get("env", [])}
        assert container["image"] == services[name]["image"]
        assert environment == services[name].get("environment", {})
        assert spec["replicas"] == services[name]["deploy"].get("replicas", 1)
        assert spec["selector"]["matchLabels"] == spec["template"]["metadata"]["labels"]
    for each in objects:
        if each["kind"] == "Service":
            selected = deployments[each["metadata"]["name"]]["template"]["metadata"]["labels"]
            assert each["spec"]["selector"] == selected


def test_tutorial_stack_is_not_the_exercise_stack() -> None:
    """Whoever copies it has not solved the exercise."""
    tutorial = (FOLDER / "02_clustering" / "stack.yml").read_text()
    assert not re.search("attachable|volumes|parallelism|Tea", tutorial)
    assert json.dumps(yaml.safe_load(tutorial)["services"]["db"]).count("constraints") == 0
