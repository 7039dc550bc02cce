"""The locks, environment.yml and pyproject.toml name the same set."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LOCKS = ["requirements.lock", "images/learner/requirements.lock"]


def locked(lock: str = LOCKS[0]) -> dict[str, str]:
    return dict(re.findall(r"^([\w.-]+)==([^\s;]+)", (ROOT / lock).read_text(), re.M))


def direct() -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = project["dependencies"] + project["optional-dependencies"]["dev"]
    return {re.split(r"[^\w-]", each)[0] for each in wanted}


def test_conda_users_get_the_locked_versions() -> None:
    text = (ROOT / "environment.yml").read_text()
    conda = dict(re.findall(r"^ +- ([\w-]+)==(\S+)", text, re.M))
    assert conda == {name: locked()[name] for name in direct()}


def test_learners_of_a_hub_get_the_versions_of_the_course() -> None:
    theirs = locked(LOCKS[1]).items()
    shared = {name: version for name, version in theirs if name in locked()}
    assert len(shared) > 50
    assert shared.items() <= locked().items()


@pytest.mark.parametrize("lock", LOCKS)
def test_every_locked_version_has_hashes_and_no_address(lock: str) -> None:
    text = (ROOT / lock).read_text()
    entries = re.split(r"\n(?=[\w.-]+==)", text)[1:]
    assert all("--hash=sha256:" in entry for entry in entries)
    assert "://" not in text


def test_every_dependency_has_its_reason_in_contributing() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    assert [name for name in sorted(direct()) if f"`{name}`" not in text] == []
