"""Grades a folder of submissions: what is new, has changed, or is not graded yet.

A submission's record is on disk as soon as it is graded, and nothing else is remembered. So a
run that was killed at any moment goes on when the same command is given again.
"""

import fcntl
import shutil
import signal
import time
from collections.abc import Collection, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor, as_completed
from contextlib import contextmanager, suppress
from pathlib import Path

import docker
from docker.errors import DockerException
from requests.exceptions import RequestException

from dockyard import checker, gate, images, lifecycle
from dockyard import engine as engines
from dockyard.classroom import export, records, sandbox, worker
from dockyard.classroom.attempt import attempt
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
    workers: int = 1,
    say: Say = quiet,
) -> Result:
    """Grade submissions, each in a fresh lab.

    Args:
        folder: with the submissions, as nbgrader lays them out.
        learners: only theirs; everyone's by default.
        again: also what is graded already.
        workers: how many to grade side by side.

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
            with ThreadPoolExecutor(workers) as labs:
                graded = dict(_grade_all(due, labs, workers, say))
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
    if exercise.lab.allow.gives_hosts_away:
        say(
            f'Who is graded for "{exercise.id}" can become root on the lab\'s hosts '
            "(docs/isolation.md): do it on a machine that you can spare"
        )
    for name in (gate.IMAGE, sandbox.IMAGE):
        images.ensure(engine, name, say)
    lifecycle.prepare(engine, exercise, say)
    worker.enter(exercise)


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


def _grade_all(
    jobs: list[Job], labs: Executor, workers: int, say: Say
) -> Iterator[tuple[str, Record]]:
    def make_attempt(request: bytes) -> bytes:
        return labs.submit(attempt, request).result()

    started = time.monotonic()
    with ThreadPoolExecutor(workers) as books:
        due = [books.submit(run, job, make_attempt) for job in jobs]
        try:
            for number, done in enumerate(as_completed(due), 1):
                record = done.result()
                say(_progress(number, len(jobs), record, time.monotonic() - started))
                yield record.learner, record
        except BaseException:  # Ctrl-C, or a mistake that concerns all
            books.shutdown(wait=False, cancel_futures=True)
            checker.stop()
            _clean_up(say)  # those that run end with their labs
            raise


def _progress(number: int, of: int, record: Record, seconds: float) -> str:
    line = f"[{number}/{of}] {record.learner}: {export.outcome(record)}"
    line += f", {record.seconds.get('all', 0):.0f} s"
    left = seconds / number * (of - number)
    return f"{line}, about {left / 60:.0f} min left" if number < of else line


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
