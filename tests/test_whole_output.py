"""What a `!` command prints just before it ends is shown."""

import io
import os
import signal
from contextlib import redirect_stdout
from typing import Any

import pexpect  # type: ignore[import-untyped]
import psutil
import pytest
from IPython.core.interactiveshell import InteractiveShell
from pexpect import pty_spawn  # type: ignore[import-untyped]

from dockyard import whole_output
from dockyard.waiting import wait_until


def late_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks for output find none until the command has ended: the gap, as wide as can be."""
    real = pty_spawn.select_ignore_interrupts

    def look(reads: Any, writes: Any, errors: Any, timeout: Any = None) -> Any:
        child = [each for each in psutil.Process().children() if "sh" in each.name()]
        if timeout and not late:
            late.append(True)
            wait_until(lambda: all(each.status() == "zombie" for each in child), 60)
            return [], [], []
        return real(reads, writes, errors, timeout) if late else ([], [], [])

    late: list[bool] = []
    monkeypatch.setattr(pty_spawn, "select_ignore_interrupts", look)


def shown(command: str) -> tuple[str, int]:
    shell: Any = InteractiveShell.instance()
    with redirect_stdout(io.StringIO()) as out:
        shell.system_piped(command)
    return out.getvalue().replace("\r", ""), shell.user_ns["_exit_code"]


def test_nothing_of_it_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pexpect, "spawn", pexpect.spawn)  # put back afterwards
    whole_output.ensure()
    assert shown("seq 3; exit 3") == ("1\n2\n3\n", 3)
    late_look(monkeypatch)
    assert shown("sleep 0.2; echo the end; exit 3") == ("the end\n", 3)


def test_without_it_there_is_a_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    """When pexpect or IPython have closed it, whole_output.py can go."""
    late_look(monkeypatch)
    assert shown("sleep 0.2; echo the end; exit 3")[0] == ""


def test_a_command_can_still_be_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pexpect, "spawn", pexpect.spawn)
    whole_output.ensure()
    child = pexpect.spawn("sleep", ["600"])
    assert child.isalive()
    os.kill(child.pid, signal.SIGINT)
    assert child.expect([pexpect.TIMEOUT, pexpect.EOF], 60) == 1
    child.close()
    assert not child.isalive()
