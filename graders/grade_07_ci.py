"""Criteria of 07_ci: a pipeline that is red when it should be, and green only then."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import leftovers
from commits import COMMITS
from pipeline import Pipeline, Trial

REPOSITORY = "localhost:5000/stars"
PYTHON = "dockyard/python:1"
VERSIONS = {PYTHON: "Python 3.13", "dockyard/pypy:1": "Python 3.11"}
#: The gates of the pipeline, each by its criterion, and the commit that has to fail there.
GATES = {
    "bad_dockerfile_is_red": "bad Dockerfile",
    "failing_test_is_red": "failing test",
    "any_version_is_red": "test that fails on Python 3.11",
    "broken_page_is_red": "broken page",
}

criterion = pytest.mark.criterion


@pytest.fixture
def pipeline(lab, containers, wait_until):
    return Pipeline(lab, containers, wait_until)


#: What was tried in this check, which is a process of its own: nothing is tried twice.
TRIED: dict[str, Any] = {}


@pytest.fixture
def tried(pipeline):
    """How the pipeline fares with a commit."""

    def run(commit: str) -> Trial:
        if commit not in TRIED:
            TRIED[commit] = pipeline.run(COMMITS[commit](pipeline.source))
        return TRIED[commit]

    return run


@pytest.fixture
def after_pruning(pipeline):
    """What is there, of things laid out for it, after a run of prune.sh."""
    if "prune.sh" not in TRIED:
        TRIED["prune.sh"] = pipeline.prune()
    return TRIED["prune.sh"]


@criterion(
    task="lint-the-dockerfile",
    points=1,
    look="docker exec runner hadolint Dockerfile",
)
def test_dockerfile_is_clean(pipeline, expect):
    """hadolint finds nothing in the Dockerfile, with every rule in force"""
    dockerfile = pipeline.source.get("Dockerfile")
    expect(dockerfile, "a Dockerfile beside the runner's pipeline.sh", pipeline.describe())
    hadolint = Path(sys.executable).with_name("hadolint")
    done = subprocess.run(
        [hadolint, "--disable-ignore-pragma", "--no-color", "-"],
        input=dockerfile, capture_output=True, check=False, cwd="/",
    )  # fmt: skip
    found = "; ".join(line.removeprefix("-:") for line in done.stdout.decode().splitlines())
    expect(done.returncode == 0, "nothing", found or done.stderr.decode() or "nothing")


@criterion(
    task="lint-the-dockerfile",
    points=1,
    look="docker run the image, then docker top",
    needs=["dockerfile_is_clean"],
    probe=True,
)
def test_page_is_not_root(pipeline, containers, expect):
    """The page starts from its image, and not as root"""
    with pipeline.page() as page:
        expect(page, "a page that runs", "docker build fails")
        users = {each.uid for each in containers.processes(page)}
    found = ", ".join(f"user {uid}" for uid in sorted(users)) or "the page does not run"
    expect(users and 0 not in users, "a user other than 0", found)


@criterion(
    task="lint-the-dockerfile",
    points=1,
    look="docker exec runner bash pipeline.sh 1.0; echo $?",
    needs=["dockerfile_is_clean"],
    probe=True,
)
def test_pipeline_is_green(tried, expect):
    """The pipeline is green for the source as it is"""
    trial = tried("as it is")
    expect(trial.is_green, "green: it ends with 0", str(trial))


@criterion(
    task="lint-the-dockerfile",
    points=2,
    look="the same, with USER root at the end of the Dockerfile",
    needs=["pipeline_is_green"],
    probe=True,
)
def test_bad_dockerfile_is_red(tried, expect):
    """A Dockerfile that ends as root makes the pipeline red"""
    trial = tried(GATES["bad_dockerfile_is_red"])
    expect(trial.is_red, "red: it ends with another number than 0", str(trial))


@criterion(
    task="test-in-a-container",
    points=3,
    look="the same, with a unit test that fails",
    needs=["pipeline_is_green"],
    probe=True,
)
def test_failing_test_is_red(tried, expect):
    """A unit test that fails makes the pipeline red"""
    trial = tried(GATES["failing_test_is_red"])
    expect(trial.is_red, "red", str(trial))


@criterion(
    task="test-a-matrix",
    points=3,
    look="docker run --rm IMAGE python3 --version, for each image that is tested",
    needs=["failing_test_is_red"],
    probe=True,
)
def test_any_version_is_red(tried, expect):
    """A unit test that fails on Python 3.11 only makes the pipeline red"""
    trial = tried(GATES["any_version_is_red"])
    expect(trial.is_red, "red", str(trial))


@criterion(
    task="test-a-matrix",
    points=2,
    look="docker ps, while unit tests take long",
    needs=["any_version_is_red"],
    probe=True,
)
def test_versions_run_side_by_side(pipeline, expect):
    """The unit tests run on both versions at the same moment"""
    change = COMMITS["long test"](pipeline.source)
    seen, together = pipeline.bases(change, list(VERSIONS))
    found = " and ".join(sorted(VERSIONS[base] for base in seen)) or "no containers with tests"
    found += ", one after the other" * (len(seen) > len(together))
    expect(len(together) == 2, "containers with both, at the same moment", found)


@criterion(
    task="test-the-whole",
    points=3,
    look="what try_page.py prints, and how the pipeline ends",
    needs=["pipeline_is_green"],
    probe=True,
)
def test_broken_page_is_red(tried, expect):
    """A page that forgets its votes makes the pipeline red, although all unit tests pass"""
    trial = tried(GATES["broken_page_is_red"])
    expect(trial.is_red, "red", str(trial))


@criterion(
    task="test-the-whole",
    points=2,
    look="docker ps --all; docker network ls; docker volume ls, before and after a run",
    needs=["broken_page_is_red"],
    probe=True,
)
def test_nothing_is_left(tried, expect):
    """No run, green or red, leaves a container, a network or a volume behind"""
    trials = {"green": tried("as it is"), "red": tried("broken page")}
    found = "; ".join(
        f"a {colour} run leaves {', '.join(trial.left)}".replace(trial.version, "VERSION")
        for colour, trial in trials.items()
        if trial.left
    )
    expect(not found, "nothing", found or "nothing")


@criterion(
    task="push-when-green",
    points=4,
    look='lab.url("node1", 5000) + "/v2/stars/tags/list"',
    needs=[*GATES],
    probe=True,
)
def test_only_green_is_pushed(pipeline, tried, expect):
    """A version is in the registry if, and only if, its pipeline was green"""
    pushed = pipeline.pushed(REPOSITORY, tried("as it is").version)
    expect(pushed, "the green version", f"no {REPOSITORY}:VERSION after a green run")
    parent = pipeline.layers(PYTHON)
    expect(pushed[: len(parent)] == parent, f"an image on {PYTHON}", "an image on another base")
    red = [each for each in GATES.values() if pipeline.pushed(REPOSITORY, tried(each).version)]
    expect(not red, "only the green version", f"pushed in spite of: {', '.join(red) or 'none'}")


@criterion(
    task="prune-by-rule",
    points=2,
    look="docker exec runner bash prune.sh",
    needs=["dockerfile_is_clean"],
    probe=True,
    disturbs=True,
)
def test_old_things_go(after_pruning, expect):
    """prune.sh removes what the pipeline made: old images, ended containers, unused volumes"""
    stay = after_pruning & leftovers.everything(to_go=True)
    expect(not stay, "none of them", f"still there: {', '.join(sorted(stay))}" if stay else "none")


@criterion(
    task="prune-by-rule",
    points=2,
    look="docker system df --verbose; the filters of each prune command",
    needs=["old_things_go"],
    probe=True,
    disturbs=True,
)
def test_other_things_stay(after_pruning, expect):
    """prune.sh leaves what is new, what is labelled keep, and what is not the pipeline's"""
    gone = leftovers.everything(to_go=False) - after_pruning
    expect(not gone, "all of them", f"gone: {', '.join(sorted(gone))}" if gone else "all of them")
