"""What happened in a lab, and when: kept on this machine for its learner to look back on.

Engines remember their last 256 events (moby's daemon/events), so whoever begins to follow a lab
also learns of what happened shortly before. Two notebooks may follow one lab: what both have
written is read once.
"""

import shutil
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from itertools import accumulate, pairwise
from pathlib import Path
from time import time
from typing import Any

import msgspec

from dockyard.lab import HOST_LABEL, LabName
from dockyard.picture.scene import Part
from dockyard.report import Report
from dockyard.swarm import short_name

#: Of an engine's events, those that tell a story, and how they are told.
TOLD = {
    "start": "started",
    "die": "ended",
    "oom": "ran out of memory",
    "pause": "paused",
    "unpause": "went on",
    "health_status": "is",
    "create": "made",
    "update": "changed",
    "destroy": "removed",
    "remove": "removed",
}
#: Containers are made before they start, again and again in a swarm that heals itself.
DULL = {("container", "create"), ("container", "update"), ("host", "create"), ("host", "update")}
KINDS = {"container", "network", "volume", "service", "node"}
#: Seconds without anything after which nobody is taken to be at work.
BREAK = 300.0
#: A file that has grown to this many bytes begins anew with its younger half; a file that was
#: handed in is read as far as twice that.
MOST_BYTES = 2**18
#: Its name beside a notebook, from where it is handed in.
HANDED_IN = "timeline.jsonl"
#: Seconds since 1970 between which a moment is taken for one (2020 to 2100).
FIRST, LAST = 1_577_836_800.0, 4_102_444_800.0


class Moment(Part, frozen=True, omit_defaults=True):
    """Something that happened.

    Attributes:
        at: seconds since 1970.
        kind: "container", "network", "volume", "service", "node", "host"; "criterion"; "hint".
        name: of the thing; of a criterion, or of the one that a hint is for, its id.
        action: a key of TOLD; of a criterion, "true" or "false"; of a hint, "given".
        host: where; of a host itself, its name; elsewhere, nothing.
        note: an exit code, or "healthy".
    """

    at: float
    kind: str
    name: str
    action: str
    host: str = ""
    note: str = ""

    def __str__(self) -> str:
        note = f"({self.note})" if self.action == "die" and self.note else self.note
        what = "" if self.kind == "host" else f": {self.kind} {self.name}"
        return " ".join(filter(None, [f"{self.host}{what}", TOLD.get(self.action, ""), note]))


def from_event(event: Mapping[str, Any], host: str) -> Moment | None:
    """What an event of a host's engine tells, if anything."""
    return _moment(event, str(event.get("Type")), host, _attributes(event))


def from_outer_event(event: Mapping[str, Any]) -> Moment | None:
    """What an event of the outer engine tells of a host."""
    attributes = _attributes(event)
    host = str(attributes.get(HOST_LABEL, ""))
    is_host = host and event.get("Type") == "container"
    return _moment(event, "host", host, {**attributes, "name": host}) if is_host else None


def _attributes(event: Mapping[str, Any]) -> dict[str, Any]:
    return event.get("Actor", {}).get("Attributes") or {}


def _moment(
    event: Mapping[str, Any], kind: str, host: str, attributes: Mapping[str, Any]
) -> Moment | None:
    action, _, note = str(event.get("Action")).partition(": ")
    known = kind in KINDS | {"host"} and action in TOLD and (kind, action) not in DULL
    if not known or note == "starting":
        return None
    name = str(attributes.get("name") or event["Actor"]["ID"][:12])
    name = short_name(name) if kind == "container" else name
    if action == "die":
        note = str(attributes.get("exitCode") or "")
    return Moment(event["timeNano"] / 1e9, kind, name, action, host, note)


def path_of(lab: LabName) -> Path:
    """Where a lab's moments are kept: they outlive it."""
    return lab.reached.with_suffix(".jsonl")


def record(path: Path, moments: Iterable[Moment]) -> None:
    """Add to a file of moments. Several may, at once: each adds whole lines."""
    lines = b"".join(msgspec.json.encode(each) + b"\n" for each in moments)
    if not lines:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and path.stat().st_size > MOST_BYTES:
        _, _, kept = path.read_bytes()[-MOST_BYTES // 2 :].partition(b"\n")
        path.write_bytes(kept)
    with path.open("ab", buffering=0) as file:
        file.write(lines)


def record_report(report: Report) -> None:
    """Add which criteria have become true, or false again; others are as they were."""
    path, now = path_of(LabName(report.exercise, report.learner)), time()
    before = {each.name: each.action for each in read(path) if each.kind == "criterion"}
    outcomes = {
        each.id: "true" if each.outcome == "passed" else "false"
        for each in report.criteria
        if each.outcome != "error" and not each.skipped
    }
    record(
        path,
        (
            Moment(now, "criterion", id_, outcome)
            for id_, outcome in outcomes.items()
            if outcome != before.get(id_, "false")
        ),
    )


def record_hint(lab: LabName, criterion: str) -> None:
    """Add that its learner has been helped with a criterion."""
    record(path_of(lab), [Moment(time(), "hint", criterion, "given")])


def hand_in(lab: LabName, folder: Path) -> None:
    """Put a copy beside the exercise's notebook, where its learner works."""
    if folder.name == lab.exercise and (folder / f"{lab.exercise}.ipynb").is_file():
        with suppress(FileNotFoundError):
            shutil.copyfile(path_of(lab), folder / HANDED_IN)


def read(path: Path) -> list[Moment]:
    """The moments of a file, in their order; what is broken in it is left out."""
    try:
        with path.open("rb") as file:
            lines = file.read(2 * MOST_BYTES).splitlines()
    except OSError:
        return []
    known = dict.fromkeys(filter(None, map(_decoded, lines)))
    return sorted(known, key=lambda each: each.at)


def _decoded(line: bytes) -> Moment | None:
    try:
        moment = msgspec.json.decode(line, type=Moment)
    except (msgspec.MsgspecError, RecursionError):
        return None
    return moment if FIRST < moment.at < LAST else None


def at_work(moments: Sequence[Moment]) -> list[float]:
    """For each moment, the seconds of work until then: breaks count as BREAK."""
    gaps = (min(later.at - each.at, BREAK) for each, later in pairwise(moments))
    return list(accumulate(gaps, initial=0.0))[: len(moments)]


def minutes(moments: Sequence[Moment]) -> int:
    """How long somebody was at work, in whole minutes."""
    return round(at_work(moments)[-1] / 60) if moments else 0
