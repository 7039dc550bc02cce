"""Tells boards what checks found: that of this machine, and that of a room if its owner agreed.

Learners' kernels import this, so it imports little. Nothing here ever fails, prints, or keeps a
check waiting; and while a submission is graded, nothing is told to anybody.
"""

import os
from contextlib import closing, suppress

from dockyard.board import agreement, news, places, post
from dockyard.lab import LabName
from dockyard.report import Report
from dockyard.settings import GRADING


def tell(report: Report) -> None:
    """Tell whoever listens what a check found."""
    _tell(lambda: news.of_report(report))


def ask_for_help(name: LabName, wanted: bool) -> None:
    """Ask whoever listens for help with a lab, or take that back."""
    _tell(lambda: news.Help(name.exercise, news.plain(name.learner, news.MOST_NAME), wanted))


def is_heard() -> bool:
    """Whether there is anybody to tell."""
    if os.environ.get(GRADING):
        return False
    with suppress(Exception):
        if agreement.read():
            return True
        places.connection().close()
        return True
    return False


def _tell(make: news.Make) -> None:
    if os.environ.get(GRADING):
        return
    # Whatever is amiss with a board, the check goes on.
    with suppress(Exception), closing(places.connection()) as board:
        board.sendall(news.encode(news.HERE, make()))
    with suppress(Exception):
        if agreement.read():
            post.send(make())
