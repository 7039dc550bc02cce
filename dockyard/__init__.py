"""Dockyard: a hands-on Docker course on real Docker hosts."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dockyard.notebook import check, hint, home, open_lab
    from dockyard.waiting import wait_until

__all__ = ["check", "hint", "home", "open_lab", "wait_until"]


def __getattr__(name: str) -> Any:
    """Load what notebooks use when they use it: the command line does not need it."""
    if name in __all__:
        from dockyard import notebook, waiting

        return getattr(waiting if name == "wait_until" else notebook, name)
    raise AttributeError(name)
