"""Grades one submission, in a process of its own: it can be killed, and drags nobody along.

nbgrader works in that process. What its submission needs of a lab is asked of the parent, over a
pipe, who knows where there is room for one.
"""

import logging
import multiprocessing
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from pathlib import Path

import msgspec

from dockyard.classroom import records
from dockyard.classroom.records import Record
from dockyard.classroom.submissions import SetAside, Submission
from dockyard.course import Exercise
from dockyard.errors import CourseError, reason
from dockyard.settings import course_dir

#: Seconds for one submission. Its notebook and its check have limits of their own, below this.
LIMIT = 1800
#: The exit code of a process that found a mistake which concerns all submissions.
FOR_ALL = 3
#: Imported once, in the process from which workers are forked.
PRELOAD = ["dockyard.classroom.warm"]


@dataclass(frozen=True)
class Job:
    """One submission to grade, and what its record will say of it."""

    submission: Submission
    hash: str
    made_by: dict[str, str]
    #: How many jobs come after it.
    waiting: int = 0


#: Makes an attempt somewhere (attempt.py): JSON in, JSON out.
Attempt = Callable[[bytes], bytes]


def run(job: Job, attempt: Attempt) -> Record:
    """Grade a submission in a process of its own; whatever becomes of that, there is a record.

    Raises:
        CourseError: the exercise is broken, so nobody's submission can be graded.
    """
    learner, exercise = job.submission.learner, job.submission.exercise
    lost = Record(learner, exercise, "not graded", made_by=job.made_by)
    records.forget(learner, exercise)  # what is there afterwards is of now
    try:
        copy = job.submission.copy_to(records.folder() / "submitted" / learner / exercise)
        exit_code = _run_process(replace(job, submission=copy, hash=copy.hash()), attempt)
    except SetAside as error:  # it was changed just now
        return msgspec.structs.replace(lost, status="set aside", reason=str(error))
    except OSError as error:
        return msgspec.structs.replace(lost, reason=str(error))
    finally:
        shutil.rmtree(records.scratch(learner), ignore_errors=True)
    record = records.load(learner, exercise)
    if record and exit_code == FOR_ALL:
        raise CourseError(record.reason)
    how = f"took over {LIMIT} seconds" if exit_code is None else f"ended with {exit_code}"
    log = records.log_of(learner, exercise)
    return record or msgspec.structs.replace(lost, reason=f'its process {how}; see "{log}"')


def _run_process(job: Job, attempt: Attempt) -> int | None:
    """The exit code, or None where it took too long."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOAD)
    ours, theirs = context.Pipe()
    process = context.Process(target=work, args=(job, theirs))
    process.start()
    theirs.close()
    try:
        _answer(ours, attempt)
        process.join(LIMIT)
        return process.exitcode
    finally:
        process.kill()
        process.join()


def enter(exercise: Exercise) -> None:
    """Make sure that the gradebook knows an exercise as it is now.

    Raises:
        CourseError: the exercise is broken, or is not that of the submissions in the gradebook.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOAD)
    ours, theirs = context.Pipe()
    process = context.Process(target=_enter, args=(exercise, theirs))
    process.start()
    theirs.close()
    try:
        reason = ours.recv_bytes().decode()
    except EOFError:
        reason = f'nbgrader cannot enter "{exercise.id}" into the gradebook'
    process.join()
    if reason:
        raise CourseError(reason)


def _enter(exercise: Exercise, pipe: Connection) -> None:
    from dockyard.classroom.gradebook import Course

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.chdir(course_dir())
    try:
        Course().enter(exercise)
    except Exception as error:
        pipe.send_bytes(why(error).encode())
    else:
        pipe.send_bytes(b"")


def _answer(pipe: Connection, attempt: Attempt) -> None:
    """Make the attempt that is asked for, if one is."""
    if not pipe.poll(LIMIT):
        return
    try:
        request = pipe.recv_bytes()
    except EOFError:  # it ended without
        return
    with suppress(BrokenPipeError):
        pipe.send_bytes(attempt(request))


def work(job: Job, pipe: Connection) -> None:
    """Grade a submission; its record on disk is the result."""
    learner, exercise = job.submission.learner, job.submission.exercise
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's, who ends this process
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _log_to(records.log_of(learner, exercise))
    os.chdir(course_dir())  # not where modules of other people may lie
    scratch = records.scratch(learner)
    scratch.mkdir(parents=True, exist_ok=True)
    tempfile.tempdir = os.environ["JUPYTER_RUNTIME_DIR"] = str(scratch)
    started = time.monotonic()
    known = Record(learner, exercise, "not graded", "", job.hash, job.made_by)
    try:
        record = _graded(job, known, lambda request: _ask(pipe, request))
    except CourseError as error:
        records.save(msgspec.structs.replace(known, reason=str(error)))
        sys.exit(FOR_ALL)
    spent = {**record.seconds, "all": round(time.monotonic() - started, 2)}
    records.save(msgspec.structs.replace(record, seconds=spent))


def _ask(pipe: Connection, request: bytes) -> bytes:
    """Have the parent make an attempt."""
    pipe.send_bytes(request)
    return pipe.recv_bytes()


def _graded(job: Job, record: Record, attempt: Attempt) -> Record:
    from dockyard.classroom.gradebook import Course
    from dockyard.classroom.runner import RunInLab

    change = msgspec.structs.replace
    RunInLab.attempt = staticmethod(attempt)
    RunInLab.waiting = job.waiting
    try:
        course = Course()
        found = course.autograde(job.submission)
        started = time.monotonic()
        course.feedback(job.submission)
        seconds = {**found["seconds"], "feedback": round(time.monotonic() - started, 2)}
        return change(
            record, status="graded", reason=found["remark"], report=found["report"], seconds=seconds
        )
    except CourseError:
        raise
    except SetAside as error:
        return change(record, status="set aside", reason=str(error))
    except Exception as error:
        logging.exception("not graded")
        return change(record, reason=why(error))


def why(error: Exception) -> str:
    """One line for what is our fault."""
    from sqlalchemy.exc import OperationalError

    if isinstance(error, OperationalError):
        return f"the gradebook cannot be used: {error.orig}"
    return reason(error)


def _log_to(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as stream:
        os.dup2(stream.fileno(), 1)
        os.dup2(stream.fileno(), 2)
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", force=True)


def _end_with_parent() -> None:
    """A run that was killed must not go on grading behind the back of the next one."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
