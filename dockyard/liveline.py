"""A line on the terminal that tells how far something is, and is gone when it is done."""

import shutil
import sys

import click


class LiveLine:
    """On standard error; where that is no terminal, nothing is shown."""

    def __init__(self) -> None:
        self._is_live = sys.stderr.isatty()

    def show(self, text: str) -> None:
        """Put *text*, as much of it as there is room for, in the place of what was there."""
        if self._is_live:
            width = shutil.get_terminal_size().columns
            click.echo(f"\r\x1b[K{text[: width - 1]}", err=True, nl=False)

    def wipe(self) -> None:
        """Leave the terminal as it was."""
        self.show("")
