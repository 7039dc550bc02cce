"""What the screen's widgets have in common."""

from pathlib import Path
from typing import Any

import anywidget
import msgspec

ASSETS = Path(__file__).parent / "assets"
#: All that the screen says, in one place: translate this file.
WORDS: dict[str, dict[str, str]] = msgspec.toml.decode((ASSETS / "words.toml").read_bytes())


def script(name: str) -> str:
    """A page's part of a widget, as one module: a kernel sends no files."""
    return (ASSETS / "make.js").read_text() + (ASSETS / name).read_text()


class Widget(anywidget.AnyWidget):
    """A widget that lives while a page shows it, and whose clicks are heard while a cell runs.

    JupyterLab sends them to a subshell of the kernel for that. But ipykernel 7.4 takes each
    message to where the widget spoke last (`BaseComm._reply_subshell_for`), which is the cell
    that made it; without that method, it goes where it was sent.
    """

    _css = ASSETS / "screen.css"

    def __init__(self, **traits: Any) -> None:
        super().__init__(**traits)
        if hasattr(self.comm, "_reply_subshell_for"):
            self.comm._reply_subshell_for = None
        self.on_msg(lambda _, asked, __: self.clicked(asked))

    def clicked(self, asked: dict[str, Any]) -> None:
        """What a page sends: "hello" when it shows the widget, and whatever somebody clicks.

        Called in a thread of its own.
        """
        raise NotImplementedError

    def instead(self) -> dict[str, str]:
        """What is shown where there are no widgets, or no longer: kind of content → content."""
        raise NotImplementedError

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        data, metadata = super()._repr_mimebundle_(**kwargs) or ({}, {})
        return {**data, **self.instead()}, metadata
