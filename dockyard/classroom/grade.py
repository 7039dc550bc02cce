"""Grades a folder of submissions: what is new, has changed, or is not graded yet.

A submission's record is on disk as soon as it is graded, and nothing else is remembered. So a
run that was killed at any moment goes on when the same command is given again.
"""

import fcntl
import shutil
import signal
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import docker
from docker.errors import DockerException
from requests.exceptions import RequestException

from dockyard import engine as engines
from dockyard import lifecycle
from dockyard.classroom import export, records
from dockyard.classroom.records import Record, Result
from dockyard.classroom.submissions import SetAside, Submission, find
from dockyard.classroom.worker import Job, run
from dockyard.course import Exercise
from dockyard.errors import DockyardError, LabError, UnknownName
from dockyard.lab import all_names
from dockyard.settings import Say, quiet


def grade(
    exercise: Exercise,
    folder: Path,
    learners: Collection[str] = (),
    again: bool = False,
    say: Say = quiet,
) -> Result:
    """Grade submissions, one after the other, each in a fresh lab.

    Args:
        folder: with the submissions, as nbgrader lays them out.
        learners: only theirs; everyone's by default.
        again: also what is graded already.

    Raises:
        UnknownName: there is nothing to grade.
        LabError: another run is under way.
        CourseError, EngineError, ImageError: nobody's submission can be graded.
    """
    submissions = find(folder, exercise)
    unknown = set(learners) - {each.learner for each in submissions}
    if unknown:
        names = ", ".join(f'"{name}"' for name in sorted(unknown))
        raise UnknownName(f'{names} handed in nothing for "{exercise.id}" in "{folder}".')
    wanted = [each for each in submissions if not learners or each.learner in learners]
    with _only_run():
        engine = engines.connect(say)
        _prepare(engine, exercise, say)
        made_by = records.made_by(exercise)
        known = [_known(each, made_by, again) for each in wanted]
        due = [each for each in known if isinstance(each, Job)]
        try:
            graded = dict(_grade_all(due, say))
        except KeyboardInterrupt:
            raise LabError("Grading was ended. The same command goes on from here.") from None
        finally:
            _clean_up(say)
    found = [graded[each.submission.learner] if isinstance(each, Job) else each for each in known]
    return Result(found, len(due))


def remove_leftovers(engine: docker.DockerClient, say: Say = quiet) -> None:
    """Remove the labs and files of a run that was killed."""
    for name in all_names(engine):
        if name.learner.startswith(records.lab_learner()):
            say(f"Removed {lifecycle.down(engine, name)}, left by a run that was ended")
    shutil.rmtree(records.scratch(), ignore_errors=True)


def _clean_up(say: Say) -> None:
    """Leave nothing behind; where that fails, go on with what can be done."""
    try:
        remove_leftovers(engines.connect())
    except (DockyardError, DockerException, RequestException, OSError) as error:
        say(f"Labs may be left, for the engine does not answer: {error}")


def _prepare(engine: docker.DockerClient, exercise: Exercise, say: Say) -> None:
    """Do once, and with progress, what each lab would otherwise do silently."""
    remove_leftovers(engine, say)
    lifecycle.prepare(engine, exercise, say)


def _known(submission: Submission, made_by: dict[str, str], again: bool) -> Job | Record:
    """The record of an earlier run, if it still holds; else the job."""
    learner, exercise = submission.learner, submission.exercise
    try:
        job = Job(submission, submission.hash(), made_by)
    except SetAside as error:
        record = Record(learner, exercise, "set aside", str(error), made_by=made_by)
        records.save(record)
        return record
    earlier = records.load(learner, exercise)
    return earlier if earlier and not again and earlier.holds(job.hash, made_by) else job


def _grade_all(jobs: list[Job], say: Say) -> Iterator[tuple[str, Record]]:
    started = time.monotonic()
    for number, job in enumerate(jobs, 1):
        began = time.monotonic()
        record = run(job)
        if record.status == "not graded":  # its process may not have come to removing the lab
            _clean_up(say)
        now = time.monotonic()
        left = (now - started) / number * (len(jobs) - number)
        line = f"[{number}/{len(jobs)}] {record.learner}: {export.outcome(record)}"
        line += f", {now - began:.0f} s"
        say(f"{line}, about {left / 60:.0f} min left" if number < len(jobs) else line)
        yield record.learner, record


@contextmanager
def _only_run() -> Iterator[None]:
    """Two runs would remove each other's labs."""
    with suppress(ValueError):  # not the main thread, which alone hears of signals
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    records.folder().mkdir(exist_ok=True)
    with (records.folder() / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LabError("Another `dockyard grade` runs. Wait for it, or end it.") from None
        yield
