"""Dockyard: a hands-on Docker course on real Docker hosts."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dockyard.notebook import check, hint, open_lab

__all__ = ["check", "hint", "open_lab"]


def __getattr__(name: str) -> Any:
    """Load what notebooks use when they use it: the command line does not need it."""
    if name in __all__:
        from dockyard import notebook

        return getattr(notebook, name)
    raise AttributeError(name)
