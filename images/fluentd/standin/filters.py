"""`<filter>`: record_transformer and stdout."""

import json
import re
import socket
from collections.abc import Callable
from typing import Any

from .config import Section, listed
from .formats import Record, formatter, inject, strftime
from .log import log, put
from .messagepack import EventTime

PLACEHOLDER = re.compile(r"\$\{[^}]+\}|__[A-Z_]+__")
Filter = Callable[[str, EventTime, Record], Record]


def make(section: Section) -> Filter:
    """The filter that a section describes."""
    if section.kind("record_transformer", "stdout") == "stdout":
        injected, line = inject(section.one("inject")), formatter(section.one("format"), "stdout")
        section.done()

        def shown(tag: str, time: EventTime, record: Record) -> Record:
            put(line(tag, time, injected(tag, time, record)))
            return record

        return shown
    return _record_transformer(section)


def _record_transformer(section: Section) -> Filter:
    if section.flag("enable_ruby", False):
        raise section.unknown('"enable_ruby true": it knows no Ruby')
    remove = list(listed(section.text("remove_keys", "")))
    keep = list(listed(section.text("keep_keys", "")))
    renew, typecast = section.flag("renew_record", False), section.flag("auto_typecast", True)
    if keep != [""] and not renew:
        raise section.error("`renew_record` must be true to use `keep_keys`")
    values: dict[str, Any] = {}
    for part in section.take("record"):
        values |= {key: _literal(part.text(key)) for key in list(part.params)}
        part.done()
    section.done()

    def transformed(tag: str, time: EventTime, record: Record) -> Record:
        known = _placeholders(tag, time, record)
        new = {key: record[key] for key in keep if key in record} if renew else dict(record)
        new |= {key: _expand(value, known, typecast) for key, value in values.items()}
        return {key: value for key, value in new.items() if key not in remove}

    return transformed


def _literal(text: str) -> Any:
    return json.loads(text) if text.startswith(("{", "[")) else text


def _placeholders(tag: str, time: EventTime, record: Record) -> dict[str, Any]:
    parts = tag.split(".")
    known = {
        "${tag}": tag,
        "${hostname}": socket.gethostname(),
        "${time}": strftime(time, None, "%Y-%m-%d %H:%M:%S %z"),
    }
    lists = {
        "tag_parts": parts,
        "tag_prefix": [".".join(parts[: end + 1]) for end in range(len(parts))],
        "tag_suffix": [".".join(parts[start:]) for start in range(len(parts))],
    }
    for name, members in lists.items():
        for index, member in enumerate(members):
            known[f"${{{name}[{index}]}}"] = known[f"${{{name}[{index - len(parts)}]}}"] = member
    return known | {f'${{record["{key}"]}}': value for key, value in record.items()}


def _expand(value: Any, known: dict[str, Any], typecast: bool) -> Any:
    """Fill in the placeholders; a value that is nothing but one keeps its type."""
    if isinstance(value, dict):
        return {_expand(key, known, False): _expand(v, known, typecast) for key, v in value.items()}
    if isinstance(value, list):
        return [_expand(each, known, typecast) for each in value]
    if not isinstance(value, str):
        return value
    if typecast and PLACEHOLDER.fullmatch(value):
        return _look_up(value, known)
    return PLACEHOLDER.sub(lambda match: _text(_look_up(match[0], known)), value)


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def _look_up(placeholder: str, known: dict[str, Any]) -> Any:
    if placeholder not in known:
        log("warn", f"unknown placeholder `{placeholder}` found")
    return known.get(placeholder)
