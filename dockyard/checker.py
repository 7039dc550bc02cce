"""Looks at a lab: runs an exercise's grader, as pytest, in a process of its own.

`python -m dockyard.checker` is that process's parent: it imports pytest, testinfra and the SDK
once and forks for each request, because importing them costs more than most checks. Requests
and answers are JSON, so nothing but text crosses the border.
"""

import atexit
import gc
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from multiprocessing.connection import Connection
from select import select

import msgspec

from dockyard import report as reports
from dockyard.alone import locked
from dockyard.course import Exercise
from dockyard.errors import DockyardError, LabError
from dockyard.lab import LabName
from dockyard.report import Tell, nobody
from dockyard.settings import patience

TIMEOUT = 600.0  # seconds for one whole check, heals and updates included
PUT_BACK = 120.0  # seconds in which a check that is ended brings a node or a service back


class Request(msgspec.Struct, frozen=True):
    """One look at one lab."""

    exercise: str
    learner: str
    #: Only this task's criteria, and those that they need.
    task: str | None = None
    #: Without the criteria that take something away for a moment.
    gently: bool = False


class Answer(msgspec.Struct, frozen=True):
    """What came of it: a report, or why there is none. Until then, a step on the way."""

    step: reports.Step | None = None
    report: reports.Report | None = None
    error: str = ""


class Checker:
    """The way to the process that forks checks. Started with the first check; one at a time."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._answers: Connection | None = None

    def start(self) -> "subprocess.Popen[bytes]":
        """Start the process, unless it runs; importing takes a second, so start early."""
        if self._process is None or self._process.poll() is not None:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "dockyard.checker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                start_new_session=True,  # Ctrl-C ends the caller, who then ends this
            )
            assert self._process.stdout
            self._answers = Connection(os.dup(self._process.stdout.fileno()), writable=False)
            atexit.register(self.stop)
        return self._process

    def stop(self) -> None:
        """End the process; a check that it still runs puts back first what it took away."""
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin
        with suppress(OSError):
            process.stdin.close()
        try:
            process.wait(PUT_BACK * patience())
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def check(
        self, request: Request, tell: Tell = nobody, timeout: float = TIMEOUT
    ) -> reports.Report:
        """Look at a lab.

        Args:
            tell: gets each criterion as soon as it was looked at.
            timeout: seconds.

        Raises:
            LabError: the check ended without a report; the message says why.
        """
        try:
            process = self.start()
            assert process.stdin
            assert self._answers
            process.stdin.write(msgspec.json.encode(request) + b"\n")
            process.stdin.flush()
            ends = time.monotonic() + timeout * patience()
            while (answer := _next(self._answers, ends)).step:
                tell(answer.step)
        except (OSError, EOFError, msgspec.MsgspecError):
            self.stop()
            raise LabError("The check was ended before it had a result. Try again.") from None
        except BaseException:  # a time-out, or Ctrl-C: its answer must not be the next one's
            print("Ending the check; what it took away is put back.", file=sys.stderr)
            self.stop()
            raise
        if answer.report is None:
            raise LabError(answer.error)
        return answer.report


def _next(answers: Connection, ends: float) -> Answer:
    if not answers.poll(max(ends - time.monotonic(), 0)):
        raise LabError("The check took too long and was ended. Try again.")
    return msgspec.json.decode(answers.recv_bytes(), type=Answer)


_all: list[Checker] = []
#: Those of them that nobody uses now.
_idle: list[Checker] = []


@contextmanager
def _one() -> Iterator[Checker]:
    """One for this thread."""
    if _idle:
        mine = _idle.pop()
    else:
        mine = Checker()
        _all.append(mine)
    try:
        yield mine
    finally:
        _idle.append(mine)


@contextmanager
def _alone(name: LabName) -> Iterator[None]:
    """One check of a lab at a time, whoever asks: another would see what this one takes away."""
    with ExitStack() as held:
        with suppress(FileNotFoundError):  # no keys, no lab: the check will say so
            held.enter_context(locked(name.keys / "check.lock"))
        yield


def check(
    exercise: Exercise,
    learner: str,
    task: str | None = None,
    gently: bool = False,
    tell: Tell = nobody,
) -> reports.Report:
    """Look at a learner's lab for an exercise, or for one task of it.

    Args:
        gently: take nothing away, not even for a moment; criteria that would are skipped.
        tell: gets each criterion as soon as it was looked at.

    Raises:
        UnknownName: the exercise has no such task.
        LabError: there is no result, and the learner is not at fault.
    """
    if task is not None:
        exercise.task(task)
    with _alone(LabName(exercise.id, learner)), _one() as checker:
        return checker.check(Request(exercise.id, learner, task, gently), tell)


def warm_up() -> None:
    """Start importing now, so that the first check is as quick as the others."""
    with _one() as checker:
        checker.start()


def stop() -> None:
    """End checks that run, which put back what they took away, and what was started for others."""
    for each in _all:
        each.stop()


def serve() -> None:
    """Fork for each request on standard input; answers go to standard output."""
    from dockyard import grading

    answers = Connection(os.dup(1), readable=False)
    os.dup2(2, 1)  # whatever a grader prints must not get between the answers
    grading.warm_up()
    gc.freeze()  # checks are forked: the collector would write to all of this, and copy it
    for line in sys.stdin.buffer:
        ended, alive = os.pipe()
        pid = os.fork()
        if pid == 0:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            with suppress(KeyboardInterrupt):
                answer = _answer(line, lambda step: _send(answers, Answer(step=step)))
                signal.signal(signal.SIGINT, signal.SIG_IGN)  # it may be gone once it has that
                _send(answers, answer)
            os._exit(0)
        os.close(alive)  # now open in the check's process only
        # While a check runs, the one who asked for it sends nothing: he is gone, and so is
        # the sense of the check. Interrupted, it still puts back what it took away.
        if ended not in select([ended, sys.stdin], [], [])[0]:
            os.kill(pid, signal.SIGINT)
        os.close(ended)
        _, status = os.waitpid(pid, 0)
        if status:
            died = Answer(error="The check's process was killed. Try again.")
            _send(answers, died)


def _send(answers: Connection, answer: Answer) -> None:
    with suppress(BrokenPipeError):  # nobody waits for it
        answers.send_bytes(msgspec.json.encode(answer))


def _answer(line: bytes, tell: Tell) -> Answer:
    from dockyard import grading

    try:
        request = msgspec.json.decode(line, type=Request)
        started = time.monotonic()
        criteria = grading.run(
            request.exercise, request.learner, request.task, request.gently, tell
        )
        seconds = time.monotonic() - started
        return Answer(report=reports.make(request.exercise, request.learner, criteria, seconds))
    except DockyardError as error:
        return Answer(error=str(error))
    except Exception as error:
        return Answer(error=f"The grader is broken: {type(error).__name__}: {error}")


if __name__ == "__main__":
    serve()
