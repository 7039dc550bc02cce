"""What the doctor says of one point."""

from typing import Literal

import msgspec

GB = 10**9

#: remark: good to know, and nothing stops. broken: some lesson cannot be taken.
State = Literal["ok", "remark", "broken"]


class Finding(msgspec.Struct, frozen=True):
    """One point: what was found, what it means for which lessons, how to mend it."""

    name: str
    state: State
    found: str
    means: str
    mend: str = ""
