"""Leads each event through the filters before its `<match>`, to the first match of its tag."""

import re
from collections.abc import Callable

from . import filters, outputs
from .config import Section
from .formats import Record
from .log import log
from .messagepack import EventTime

Pattern = Callable[[str], bool]


class Router:
    """The `<filter>` and `<match>` sections, in their order."""

    def __init__(self, root: Section) -> None:
        order = [each for each in root.sections if each.name in ("filter", "match")]
        root.sections = [each for each in root.sections if each not in order]
        self._rules = [(_patterns(each), _make(each)) for each in order]
        self._unmatched = 0

    @property
    def outputs(self) -> list[outputs.Output]:
        return [made for _, made in self._rules if not callable(made)]

    def emit(self, tag: str, time: EventTime, record: Record) -> None:
        for matches, made in self._rules:
            if not matches(tag):
                continue
            if not callable(made):
                made.emit(tag, time, record)
                return
            record = made(tag, time, record)
        self._unmatched += 1
        if self._unmatched & (self._unmatched - 1) == 0:  # the 1st, 2nd, 4th, 8th … time
            log("warn", f'#0 no patterns matched tag="{tag}"')


def _make(section: Section) -> filters.Filter | outputs.Output:
    return (filters if section.name == "filter" else outputs).make(section)


def _patterns(section: Section) -> Pattern:
    given = section.arg.split() or ["**"]
    compiled = [re.compile(glob(each)) for each in given]
    return lambda tag: any(each.fullmatch(tag) for each in compiled)


def glob(pattern: str) -> str:
    """A tag pattern as a regular expression: `*` is one part, `**` any number, `{a,b}` either."""
    if pattern == "**":
        return ".*"
    parts, at, depth = [], 0, 0
    while at < len(pattern):
        rest = pattern[at:]
        if rest.startswith("**."):
            parts.append(r"(?:.*\.)?")
            at += 3
        elif rest.startswith(".**") and not rest.startswith(".**."):
            parts.append(r"(?:\..*)?")  # a.** matches a, too
            at += 3
        elif rest.startswith("**"):
            parts.append(".*")
            at += 2
        else:
            depth += (rest[0] == "{") - (rest[0] == "}" and depth > 0)
            inside = {"{": "(?:", "}": ")", ",": "|"} if depth or rest[0] == "}" else {}
            parts.append(inside.get(rest[0]) or {"*": r"[^.]*"}.get(rest[0], re.escape(rest[0])))
            at += 1
    return "".join(parts) + ")" * depth
