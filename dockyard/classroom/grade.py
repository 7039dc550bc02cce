"""Grades a folder of submissions: what is new, has changed, or is not graded yet.

A submission's record is on disk as soon as it is graded, and nothing else is remembered. So a
run that was killed at any moment goes on when the same command is given again.
"""

import shutil
import signal
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from docker.errors import DockerException
from requests.exceptions import RequestException

from dockyard.alone import locked
from dockyard.classroom import cluster, records, worker
from dockyard.classroom.attempt import attempt
from dockyard.classroom.cluster import Labs
from dockyard.classroom.progress import Progress
from dockyard.classroom.records import Record, Result
from dockyard.classroom.submissions import SetAside, Submission, find
from dockyard.classroom.worker import Job, run
from dockyard.course import Exercise
from dockyard.errors import DockyardError, LabError, UnknownName
from dockyard.plural import counted
from dockyard.settings import Say, quiet


def grade(
    exercise: Exercise,
    folder: Path,
    learners: Collection[str] = (),
    again: bool = False,
    workers: int = 1,
    dask: str = "",
    say: Say = quiet,
) -> Result:
    """Grade submissions, each in a fresh lab.

    Args:
        folder: with the submissions, as nbgrader lays them out.
        learners: only theirs; everyone's by default.
        again: also what is graded already.
        workers: how many to grade side by side on this machine.
        dask: the address of a Dask scheduler, to grade on its workers instead.

    Raises:
        UnknownName: there is nothing to grade.
        LabError: another run is under way, or nobody can make labs.
        CourseError, EngineError, ImageError: nobody's submission can be graded.
    """
    wanted = _wanted(exercise, folder, learners)
    with _only_run():
        if exercise.lab.allow.gives_hosts_away:
            say(
                f'Who is graded for "{exercise.id}" can become root on the lab\'s hosts '
                "(docs/isolation.md): do it on a machine that you can spare"
            )
        worker.enter(exercise)
        made_by = records.made_by(exercise)
        jobs, aside = _jobs(wanted, made_by)
        earlier = {} if again else _earlier(jobs)
        due = [job for job in jobs if job.submission.learner not in earlier]
        where = cluster.dask(exercise, dask, say) if dask else cluster.here(exercise, workers, say)
        with where as labs:  # also without anything due: what a killed run left goes
            graded = _grade_all(due, labs, say) if due else {}
        shutil.rmtree(records.scratch(), ignore_errors=True)
    found = aside | earlier | graded
    return Result([found[each.learner] for each in wanted], len(earlier))


def _wanted(exercise: Exercise, folder: Path, learners: Collection[str]) -> list[Submission]:
    submissions = find(folder, exercise)
    if unknown := set(learners) - {each.learner for each in submissions}:
        names = ", ".join(f'"{name}"' for name in sorted(unknown))
        raise UnknownName(f'{names} handed in nothing for "{exercise.id}" in "{folder}".')
    return [each for each in submissions if not learners or each.learner in learners]


def _jobs(
    submissions: list[Submission], made_by: dict[str, str]
) -> tuple[list[Job], dict[str, Record]]:
    """What could be graded; and, by learner, the records of what cannot even be read."""
    jobs, aside = [], {}
    for each in submissions:
        try:
            jobs.append(Job(each, each.hash(), made_by))
        except SetAside as error:
            record = Record(each.learner, each.exercise, "set aside", str(error), made_by=made_by)
            records.save(record)
            aside[each.learner] = record
    return jobs, aside


def _earlier(jobs: list[Job]) -> dict[str, Record]:
    """The records of earlier runs that still hold, by learner."""
    earlier = {}
    for job in jobs:
        record = records.load(job.submission.learner, job.submission.exercise)
        if record and record.holds(job.hash, job.made_by):
            earlier[job.submission.learner] = record
    return earlier


def _grade_all(jobs: list[Job], labs: Labs, say: Say) -> dict[str, Record]:
    progress = Progress(len(jobs), say)
    say(f"Grading {counted(len(jobs), 'submission')}, {min(labs.at_once, len(jobs))} at once")

    def grade_one(number: int, job: Job) -> Record:
        progress.start(job.submission.learner)
        placed = replace(job, waiting=len(jobs) - number - 1)
        record = run(placed, attempt_in_lab)
        if record.status == "not graded" and not progress.is_closed:  # our fault: once more
            record = run(placed, attempt_in_lab)
        progress.end(record)
        return record

    def attempt_in_lab(request: bytes) -> bytes:
        return labs.executor.submit(attempt, request).result()

    books = ThreadPoolExecutor(labs.at_once)
    try:
        due = [books.submit(grade_one, *each) for each in enumerate(jobs)]
        return {record.learner: record for record in (each.result() for each in as_completed(due))}
    except KeyboardInterrupt:
        raise LabError("Grading was ended. The same command goes on from here.") from None
    finally:
        progress.close()
        books.shutdown(wait=False, cancel_futures=True)
        _remove_all(labs, say)  # attempts that still run end with their labs
        books.shutdown()


def _remove_all(labs: Labs, say: Say) -> None:
    """Leave nothing behind; where that fails, go on with what can be done."""
    try:
        labs.remove_all()
    except (DockyardError, DockerException, RequestException, OSError) as error:
        say(f"Labs may be left, for the engine does not answer: {error}")


@contextmanager
def _only_run() -> Iterator[None]:
    """Two runs would remove each other's labs."""
    with suppress(ValueError):  # not the main thread, which alone hears of signals
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    records.folder().mkdir(exist_ok=True)
    busy = "Another `dockyard grade` runs. Wait for it, or end it."
    with locked(records.folder() / ".lock", lambda: LabError(busy)):
        yield
