"""How an event becomes a line: times, `<inject>` and `<format>`."""

import json
import re
import socket
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from .config import Section
from .messagepack import EventTime

Record = dict[str, Any]
Formatter = Callable[[str, EventTime, Record], str]
TimeFormatter = Callable[[EventTime], Any]


def strftime(event: EventTime, zone: tzinfo | None, form: str) -> str:
    """As Ruby does it, with %N, %3N, %L and %:z. No *zone*: this machine's."""
    when = datetime.fromtimestamp(event.seconds, UTC).astimezone(zone)
    nano = f"{event.nanoseconds:09d}"
    offset = when.strftime("%z")
    form = re.sub(r"%(\d*)N", lambda digits: nano[: int(digits[1] or 9)], form)
    form = form.replace("%L", nano[:3]).replace("%:z", f"{offset[:3]}:{offset[3:]}")
    return when.strftime(form)


def iso8601(event: EventTime, zone: tzinfo | None) -> str:
    """Ruby's Time#iso8601: "Z" stands for UTC that was asked for, +00:00 for a zone like it."""
    return strftime(event, zone, "%Y-%m-%dT%H:%M:%S" + ("Z" if zone is UTC else "%:z"))


def time_formatter(section: Section, kind: str) -> TimeFormatter:
    """time_type, time_format, utc, localtime, timezone; *kind* is the default time_type."""
    kinds = ["string", "unixtime", "float"]
    kind = section.choice("time_type", kind, kinds)
    form = section.maybe("time_format")
    utc, local = section.flag("utc", False), section.flag("localtime", True)
    line = section.params["timezone"].line if "timezone" in section.params else None
    name = section.maybe("timezone")
    zone = UTC if utc or not local else None
    if name is not None:
        zone = named_zone(name)
        if zone is None:
            raise section.error(f"Unsupported timezone '{name}'", line)
    if kind == "unixtime":
        return lambda event: event.seconds
    if kind == "float":
        return lambda event: event.seconds + event.nanoseconds // 1000 / 1e6
    if form is None:
        return lambda event: iso8601(event, zone)
    return lambda event: strftime(event, zone, form)


def named_zone(name: str) -> tzinfo | None:
    """+09:00, +0900, +09 or Region/Zone."""
    if match := re.fullmatch(r"([+-])(\d\d)(?::?(\d\d))?", name):
        offset = timedelta(hours=int(match[2]), minutes=int(match[3] or 0))
        return timezone(-offset if match[1] == "-" else offset)
    try:
        return ZoneInfo(name) if "/" in name else None
    except (ZoneInfoNotFoundError, ValueError):
        return None


def inject(section: Section) -> Formatter | Callable[[str, EventTime, Record], Record]:
    """`<inject>`: puts the host, the tag or the time into each record."""
    host_key, tag_key = section.maybe("hostname_key"), section.maybe("tag_key")
    host, time_key = section.text("hostname", socket.gethostname()), section.maybe("time_key")
    time_of = time_formatter(section, "float")
    section.done()

    def injected(tag: str, time: EventTime, record: Record) -> Record:
        given = {host_key: host, tag_key: tag, time_key: time_of(time) if time_key else None}
        return record | {key: value for key, value in given.items() if key}

    return injected


def dump(record: Record) -> str:
    return json.dumps(record, ensure_ascii=False, separators=(",", ":"), default=str)


def formatter(section: Section, default: str) -> Formatter:
    """`<format>`: out_file, json or stdout."""
    kind = section.kind("out_file", "json", "stdout", default=default)
    make = {"out_file": _out_file, "json": _json, "stdout": _stdout}[kind]
    made = make(section)
    section.done()
    return made


def _out_file(section: Section) -> Formatter:
    """Time, tag and record, with tabs between them."""
    shown = [section.flag("output_time", True), section.flag("output_tag", True), True]
    named = section.text("delimiter", "TAB").upper()
    delimiter = " " if "SPACE" in named else "," if "COMMA" in named else "\t"
    time_of = time_formatter(section, "string")

    def line(tag: str, time: EventTime, record: Record) -> str:
        parts = zip(shown, [str(time_of(time)), tag, dump(record)], strict=True)
        return delimiter.join(part for show, part in parts if show) + "\n"

    return line


def _json(section: Section) -> Formatter:
    end = "\n" if section.flag("add_newline", True) else ""
    return lambda _tag, _time, record: dump(record) + end


def _stdout(_section: Section) -> Formatter:
    """What `@type stdout` shows, always in this machine's time."""
    return lambda tag, time, record: (
        f"{strftime(time, None, '%Y-%m-%d %H:%M:%S.%N %z')} {tag}: {dump(record)}\n"
    )
