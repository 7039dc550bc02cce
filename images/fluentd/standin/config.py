"""Reads fluent.conf, and refuses what the stand-in does not know, with file and line.

Plugins *take* the parameters and sections that they know; `done` refuses whatever is left. Real
Fluentd is milder: it warns of a parameter that nobody uses.
"""

import json
import os
import re
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

KEY = re.compile(r"(\S+)[ \t]*")
OPEN = re.compile(r"<(\w+)[ \t]*(.*?)[ \t]*>[ \t]*(?:#.*)?$")
CLOSE = re.compile(r"</(\w+)[ \t]*>[ \t]*(?:#.*)?$")
BARE = re.compile(r"(?:#|(?![ \t]*(?:#.*)?$).)*")
ESCAPES = {"r": "\r", "n": "\n", "t": "\t", "f": "\f", "b": "\b", "0": "\0"}
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


class ConfigError(Exception):
    """The configuration cannot be used; the message begins with file and line."""


class Param(NamedTuple):
    value: str
    line: int


@dataclass
class Section:
    """One `<name arg>`, with what nobody has taken yet."""

    file: str
    line: int
    name: str
    arg: str = ""
    params: dict[str, Param] = field(default_factory=dict)
    sections: list["Section"] = field(default_factory=list)

    @property
    def label(self) -> str:
        return f"<{self.name} {self.arg}>" if self.arg else f"<{self.name}>"

    def error(self, what: str, line: int | None = None) -> ConfigError:
        return ConfigError(f"{self.file}:{line or self.line}: {what}")

    def text(self, name: str, default: str | None = None) -> str:
        """A parameter; without a default it is required."""
        if name in self.params:
            return self.params.pop(name).value
        if default is None:
            raise self.error(f"'{name}' parameter is required, in {self.label}")
        return default

    def maybe(self, name: str) -> str | None:
        return self.text(name) if name in self.params else None

    def choice(self, name: str, default: str, known: list[str]) -> str:
        return self._read(name, default, lambda text: text if text in known else None, known)

    def flag(self, name: str, default: bool) -> bool:
        values = {"true": True, "yes": True, "": True, "false": False, "no": False}
        return self._read(name, default, values.get, ["true", "false"])

    def integer(self, name: str, default: int) -> int:
        return self._read(name, default, lambda text: int(text) if text.isdigit() else None, ["1"])

    def seconds(self, name: str, default: float) -> float:
        """A time such as 10, 1.5, 10s, 15m, 2h or 1d."""
        return self._read(name, default, _seconds, ["10", "10s", "15m", "2h", "1d"])

    def kind(self, *known: str, default: str | None = None) -> str:
        """The plugin's @type; another one than those that the stand-in has is refused."""
        line = self.params["@type"].line if "@type" in self.params else self.line
        given = self.text("@type", default)
        if given not in known:
            raise self.unknown(f'"@type {given}"', line)
        self.maybe("@id")
        return given

    def _read(self, name: str, default: Any, reads: Callable[[str], Any], known: list[Any]) -> Any:
        if name not in self.params:
            return default
        given = self.params.pop(name)
        value = reads(given.value)
        if value is None:
            wanted = ", ".join(map(str, known))
            raise self.error(f'"{name}" cannot be "{given.value}"; such as: {wanted}', given.line)
        return value

    def take(self, name: str) -> list["Section"]:
        """The sections of one name."""
        taken = [each for each in self.sections if each.name == name]
        self.sections = [each for each in self.sections if each.name != name]
        return taken

    def one(self, name: str) -> "Section":
        """The only section of a name; an empty one where there is none."""
        there = self.take(name)
        if len(there) > 1:
            raise there[1].error(f"{there[1].label} stands twice in {self.label}")
        return there[0] if there else Section(self.file, self.line, name)

    def done(self) -> None:
        """Refuse what nobody has taken."""
        for name, given in self.params.items():
            raise self.unknown(f'the parameter "{name}"', given.line)
        for section in self.sections:
            raise self.unknown(section.label, section.line)

    def unknown(self, what: str, line: int | None = None) -> ConfigError:
        where = "" if self.name == "ROOT" else f" in {self.label}"
        return self.error(f"the Fluentd stand-in does not know {what}{where}", line)


def read(text: str, file: str) -> Section:
    """The root section of a configuration."""
    root = Section(file, 1, "ROOT")
    stack = [root]
    for number, line in enumerate(text.splitlines(), 1):
        line, inside = line.strip(" \t"), stack[-1]
        if not line or line.startswith("#"):
            continue
        if match := CLOSE.match(line):
            if len(stack) == 1 or match[1] != inside.name:
                raise root.error(f"unmatched end tag </{match[1]}>", number)
            stack.pop()
        elif match := OPEN.match(line):
            section = Section(file, number, match[1], match[2].strip("\"'"))
            inside.sections.append(section)
            stack.append(section)
        elif line.startswith("<"):
            raise root.error(f'this is no tag: "{line}"', number)
        else:
            key = KEY.match(line)[1]
            if inside is root or key == "@include":
                raise inside.unknown(f'"{key}"', number)
            value = _value(line[KEY.match(line).end() :], partial(root.error, line=number))
            inside.params[key] = Param(value, number)
    if len(stack) > 1:
        raise root.error(f"{stack[-1].label} has no end tag", stack[-1].line)
    return root


def _value(text: str, error: Callable[[str], ConfigError]) -> str:
    """The value that a line begins with: quoted, JSON, or bare up to a comment."""
    if text.startswith(("[", "{")):
        try:
            value, end = json.JSONDecoder().raw_decode(text)
        except ValueError:
            raise error("this JSON does not end on its line, or is none") from None
        value = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    elif text.startswith('"'):
        value, end = _double_quoted(text, error)
    elif text.startswith("'"):
        match = re.match(r"'((?:\\'|\\\\|[^'])*)'", text)
        if not match:
            raise error("the quote does not end on its line")
        value, end = re.sub(r"\\(['\\])", r"\1", match[1]), match.end()
    else:
        return BARE.match(text)[0]
    if not re.fullmatch(r"[ \t]*(?:#.*)?", text[end:]):
        raise error(f'expected end of line, but got "{text[end:].strip()}"')
    return value


def _double_quoted(text: str, error: Callable[[str], ConfigError]) -> tuple[str, int]:
    parts: list[str] = []
    for match in re.finditer(r'\\(.)|#\{(.*?)\}|(")|(.)', text[1:]):
        escaped, code, quote, plain = match.groups()
        if quote:
            return "".join(parts), match.end() + 1
        if escaped and escaped.isalnum() and escaped not in ESCAPES:
            raise error(f"unexpected back-slash escape character '{escaped}'")
        if code is not None:
            parts.append(_ruby(code, error))
        else:
            parts.append(plain or ESCAPES.get(escaped, escaped))
    raise error("the quote does not end on its line")


def _ruby(code: str, error: Callable[[str], ConfigError]) -> str:
    """The two pieces of Ruby that configurations have: the host's name, and the environment."""
    if code.strip() in ("hostname", "Socket.gethostname"):
        return socket.gethostname()
    if match := re.fullmatch(r"""\s*ENV\[(["'])(\w+)\1\]\s*""", code):
        return os.environ.get(match[2], "")
    raise error(f"the Fluentd stand-in knows no Ruby but hostname and ENV['NAME']: #{{{code}}}")


def _seconds(text: str) -> float | None:
    match = re.fullmatch(r"(\d+)([smhd])|(\d+(?:\.\d+)?)", text)
    if not match:
        return None
    return float(match[3]) if match[3] else int(match[1]) * UNITS[match[2]]


def listed(text: str) -> Iterator[str]:
    """The members of a list: "a,b" or a JSON array."""
    return (
        str(each).strip() for each in (json.loads(text) if text[:1] == "[" else text.split(","))
    )
