"""What the documents say is what there is."""

import re
from pathlib import Path

import attacks
import pytest

from dockyard import settings
from dockyard.cli import main

ROOT = Path(__file__).parent.parent
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
TEXT = "\n".join(path.read_text() for path in DOCUMENTS)


def test_every_verb_is_documented() -> None:
    verbs = [name for name, verb in main.commands.items() if not verb.hidden]
    assert [name for name in verbs if f"dockyard {name}" not in TEXT] == []


def test_every_make_target_is_documented() -> None:
    targets = re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.M)
    assert [name for name in targets if f"make {name}" not in TEXT] == []


def test_every_setting_is_documented() -> None:
    variables = re.findall(r"^\| (DOCKYARD_\w+)", str(settings.__doc__), re.M)
    assert variables
    assert [name for name in variables if name not in TEXT] == []


def test_the_table_of_attacks_is_that_of_the_corpus() -> None:
    assert attacks.table() in (ROOT / "docs" / "attacks.md").read_text()


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", path.read_text())
    local = [link for link in links if "://" not in link]
    assert [link for link in local if not (path.parent / link).exists()] == []
