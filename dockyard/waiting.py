"""The one place that waits."""

import time
from collections.abc import Callable
from typing import TypeVar

from dockyard.settings import patience

T = TypeVar("T")


def wait_until(condition: Callable[[], T], timeout: float, message: str = "") -> T:
    """Ask *condition* until its answer is true, and return that answer.

    The pause between two questions grows from 5 ms to 200 ms, so short waits stay short
    and long ones cost little.

    Args:
        condition: asked again and again; must not block for long itself.
        timeout: seconds after which to give up, on an ordinary machine; a slow one says in
            DOCKYARD_PATIENCE how many times slower it is.
        message: what was waited for, for the error.

    Raises:
        TimeoutError: the answer was not true in time.
    """
    timeout *= patience()
    deadline = time.monotonic() + timeout
    pause = 0.005
    while not (answer := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {timeout:g} s for {message or condition.__name__}")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.2)
    return answer
