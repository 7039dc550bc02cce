"""What places and desk say to each other: one question, and lines of JSON for an answer."""

from typing import Any

import msgspec

from dockyard.report import Step


class Ask(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A question; whose it is, the desk knows by the token that comes with it.

    Attributes:
        exercise: whose lab it is about, if it is about one.
        task, gently: of a check.
        host, fault: of what a button says.
        wanted: help.
    """

    exercise: str = ""
    task: str | None = None
    gently: bool = False
    host: str = ""
    fault: str = ""
    wanted: bool = False


class ToldLab(msgspec.Struct, frozen=True):
    """A lab, for the place of its learner.

    Attributes:
        ports: host → port on it → loopback port at which it is reached.
        names: host → the name under which the place finds it.
        keys: the files that a Docker client takes → their content.
        mesh: whether there is a routing mesh.
    """

    ports: dict[str, dict[int, int]]
    names: dict[str, str]
    keys: dict[str, str]
    mesh: bool


class Line(msgspec.Struct, frozen=True, omit_defaults=True):
    """A part of an answer. The last one holds the value, or an error.

    Attributes:
        say: progress, for a person.
        step: of a check.
        event: what happened to a lab's host.
        value: what was asked for.
        error: why there is none, for a person; its kind is a name in dockyard.errors.
    """

    say: str = ""
    step: Step | None = None
    event: dict[str, Any] | None = None
    value: msgspec.Raw = msgspec.Raw()
    error: str = ""
    kind: str = ""
