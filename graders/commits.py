"""Commits of ours: what each changes in a learner's source."""

from collections.abc import Callable
from pathlib import PurePosixPath

Files = dict[str, bytes]

FAILING_TEST = b"""
import sys, unittest

class TestTrial(unittest.TestCase):
    def test_that_fails(self):
        self.assertTrue(sys.version_info > (3, 12) and %r, "a mistake, for a trial")
"""
LONG_TEST = b"""
import time, unittest

class TestTrial(unittest.TestCase):
    def test_that_takes_long(self):
        time.sleep(10)
"""
# It answers, but never with what redis holds.
BROKEN_PAGE = b"""

def _forget(environ, start):
    start("200 OK", [("Content-Type", "application/json")])
    return [b'{"people": 0, "average": 0}']

app.wsgi_app = _forget
"""


def _tests(source: Files, content: bytes) -> Files:
    """All unit tests replaced."""
    return {name: content for name in source if PurePosixPath(name).match("test*.py")}


COMMITS: dict[str, Callable[[Files], Files]] = {
    "as it is": lambda _: {},
    "bad Dockerfile": lambda source: {
        "Dockerfile": source.get("Dockerfile", b"") + b"\nUSER root\n"
    },
    "failing test": lambda source: _tests(source, FAILING_TEST % False),
    "test that fails on Python 3.11": lambda source: _tests(source, FAILING_TEST % True),
    "long test": lambda source: _tests(source, LONG_TEST),
    "broken page": lambda source: {"page.py": source.get("page.py", b"") + BROKEN_PAGE},
}
