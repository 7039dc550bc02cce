"""Where attempts are made: on this machine, or on those of a Dask cluster.

Each machine of a cluster needs an engine and this course. Only bytes of JSON go there and come
back; Dask itself trusts its machines with code, so keep its ports to them, or use its TLS.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from typing import NamedTuple

from dockyard import engine as engines
from dockyard.classroom import places, records
from dockyard.course import Exercise, load_exercise
from dockyard.errors import CourseError, DockyardError, LabError
from dockyard.plural import counted
from dockyard.settings import Say

CONNECT = 10  # seconds for the scheduler to answer


class Labs(NamedTuple):
    """Makes attempts; how many at once; and what removes all that they have left."""

    executor: Executor
    at_once: int
    remove_all: Callable[[], object]


@contextmanager
def here(exercise: Exercise, workers: int, say: Say) -> Iterator[Labs]:
    """On this machine."""
    owner = records.owner()
    places.remove_all(owner, say)
    places.prepare(engines.connect(say), exercise, say)
    room = max(places.most(exercise), 1)
    if room < workers:
        say(f"{room} at once, not {workers}: free memory carries no more labs of this exercise")
    with ThreadPoolExecutor(min(workers, room)) as executor:
        yield Labs(executor, min(workers, room), lambda: places.remove_all(owner))


@contextmanager
def dask(exercise: Exercise, address: str, say: Say) -> Iterator[Labs]:
    """On the workers of a Dask cluster, as many at once as they have threads.

    Raises:
        LabError: there are none, or one cannot make attempts.
    """
    from distributed import Client

    try:
        client = Client(address, timeout=CONNECT)  # type: ignore[no-untyped-call]
    except (OSError, TimeoutError, ValueError):
        raise LabError(f'No Dask scheduler answers at "{address}".') from None
    with client:
        threads = client.nthreads()  # type: ignore[no-untyped-call]
        if not threads:
            raise LabError(f'The Dask scheduler at "{address}" has no workers.')
        say(f"Preparing {counted(len(threads), 'worker')} at {address}")
        owner, versions = records.owner(), records.made_by(exercise)
        for worker, wrong in client.run(_prepare_worker, exercise.id, owner, versions).items():
            if wrong:
                raise LabError(f'Worker "{worker}": {wrong}')
        executor = client.get_executor(pure=False, retries=1)  # type: ignore[no-untyped-call]
        yield Labs(executor, sum(threads.values()), lambda: client.run(places.remove_all, owner))


def _prepare_worker(exercise_id: str, owner: str, versions: dict[str, str]) -> str:
    """What is wrong with the machine on which this runs, if anything."""
    try:
        exercise = load_exercise(exercise_id)
        mine = records.made_by(exercise)
        if other := [name for name in versions if mine[name] != versions[name]]:
            raise CourseError(f"it has another version of: {', '.join(other)}.")
        places.remove_all(owner)
        places.prepare(engines.connect(), exercise)
    except (DockyardError, OSError) as error:
        return str(error)
    return ""
