"""How an engine reads a request, so that the policy judges what the engine will do.

dockerd 26.1 is written in Go: it decodes a path before it looks for the handler, takes the first
of two equal keys of a query, finds JSON's fields by their names in any case, and takes the last of
two. What two readers could read in two ways, and no tool of a learner sends, is refused.
"""

import json
import re
from collections.abc import Collection
from typing import Any, NoReturn
from urllib.parse import unquote, unquote_plus

Query = dict[str, list[str]]

VERSION = re.compile(r"^/v1\.(2[4-9]|3\d|4[0-5])(?=/)")  # what 26.1 speaks
HIDDEN_PATH = re.compile("%2f|%25", re.IGNORECASE)
ODD_PATH = re.compile(r"^[^/]|^$|//|/\.\.?(/|$)|[\x00-\x1f\x7f\\]")
ODD_QUERY = re.compile(";|%(?![0-9a-f]{2})", re.IGNORECASE)  # Go leaves out such a pair
# Here an empty list is not the default: it takes a protection away.
NULL_OR_LESS = {"maskedpaths", "readonlypaths"}


class Refused(Exception):
    """The policy refuses this of a request."""


def malformed() -> NoReturn:
    raise Refused("a request that is not as Docker's API describes it")


def address(uri: str) -> tuple[str, Query]:
    """A request's path, without the API's version, and its query."""
    raw, _, query = uri.partition("?")  # "#" is a character as any other, for Go too
    path = unquote(raw)
    if HIDDEN_PATH.search(raw) or ODD_PATH.search(path):
        raise Refused(f'the path "{raw}"')
    if ODD_QUERY.search(query):
        raise Refused(f'the query "{query}"')
    found: Query = {}
    for pair in filter(None, query.split("&")):
        key, _, value = pair.partition("=")
        found.setdefault(unquote_plus(key), []).append(unquote_plus(value))
    return VERSION.sub("", path), found


def document(body: bytes) -> Any:
    """A request's JSON. The engine hands on none that reaches 1 MB or is not declared as JSON."""
    try:
        return json.loads(body.decode(), object_pairs_hook=_without_twins)
    except (ValueError, RecursionError):
        raise Refused("a request without JSON in its body, or with 1 MB of it") from None


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise Refused("a request that says one thing twice")
    return found


def names(text: str) -> frozenset[str]:
    """Names of fields, as `fields` takes them."""
    return frozenset(text.lower().split())


def fields(value: Any, known: Collection[str]) -> dict[str, Any]:
    """The fields of a JSON object by their names in lower case; those not *known* must be empty."""
    found: dict[str, Any] = {}
    for name, content in mapping(value).items():
        key = name.lower()
        if key in found or not name.isascii():  # Go takes "ſ" for "s"
            raise Refused(f'the option "{name}" in a second spelling')
        if key not in known and (content or (key in NULL_OR_LESS and content is not None)):
            raise Refused(f'the option "{name}"')
        found[key] = content
    return found


def mapping(value: Any) -> dict[str, Any]:
    """A JSON object with keys of any kind, such as labels; none: an empty one."""
    if value is None:
        return {}
    return value if isinstance(value, dict) else malformed()


def items(value: Any) -> list[Any]:
    """A list; for lists of capabilities, a single one is as good to Go."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def text(value: Any) -> str:
    """A string; none: an empty one."""
    if value is None:
        return ""
    return value if isinstance(value, str) else malformed()
