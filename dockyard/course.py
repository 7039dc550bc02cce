"""The course as data: exercises, their tasks, and the lab that each needs."""

import re
from pathlib import Path

import msgspec

from dockyard.errors import CourseError, UnknownName
from dockyard.settings import course_dir


class Task(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One step of an exercise; criteria name the task that they belong to."""

    id: str
    title: str


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one lab host may use of the machine."""

    memory: str = "1g"
    cpus: float = 2.0
    pids: int = 2048


class Allow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a graded lab's policy (images/gate/) allows beyond the ordinary.

    Only what the exercise cannot do without: the less there is, the better a grading machine is
    protected from a submission.
    """

    #: Paths of a host that containers may bind: "/srv/notes"; "/srv/*" for all that lies in /srv,
    #: not below; "/srv:ro" read-only. A folder and what is in it, both: as good as root.
    binds: list[str] = []
    #: Linux capabilities beside Docker's default ones, such as "NET_ADMIN".
    capabilities: list[str] = []
    host_network: bool = False
    host_pid: bool = False
    #: Plugins, and volumes of their drivers. As good as root.
    plugins: bool = False
    #: A swarm, its services, secrets and configs.
    swarm: bool = False

    @property
    def gives_hosts_away(self) -> bool:
        """Whether a submission can become root on its lab's hosts; docs/isolation.md says how."""
        folders = {bind.removesuffix("/*") for bind in self.binds if bind.endswith("/*")}
        return self.plugins or self.host_pid or bool(folders & {*self.binds})


class LabPlan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The lab that an exercise needs."""

    hosts: list[str]
    images: list[str] = []
    #: Ports of every host that a learner opens in a browser.
    ports: list[int] = []
    limits: Limits = Limits()
    allow: Allow = Allow()


class Exercise(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One exercise, as its exercise.toml describes it."""

    id: str
    title: str
    minutes: int
    tasks: list[Task]
    lab: LabPlan
    #: Points that a hint costs by its instructor's rules. Learners are told; nothing is taken off.
    hint_cost: float = 0

    @property
    def folder(self) -> Path:
        return course_dir() / "exercises" / self.id

    @property
    def notebook(self) -> Path:
        """The nbgrader source notebook, with solutions."""
        return self.folder / f"{self.id}.ipynb"

    @property
    def grader(self) -> Path:
        return course_dir() / "graders" / f"grade_{self.id}.py"

    def hints(self) -> dict[str, list[str]]:
        """Criterion → steps of help, least first, in which "{found}" is what was found.

        Raises:
            CourseError: their file is missing or broken.
        """
        path = course_dir() / "graders" / "hints" / f"{self.id}.toml"
        try:
            return msgspec.toml.decode(path.read_bytes(), type=dict[str, list[str]])
        except (OSError, msgspec.MsgspecError) as error:
            raise CourseError(f'"graders/hints/{path.name}" cannot be read: {error}.') from None

    def task(self, task_id: str) -> Task:
        """The task named *task_id*.

        Raises:
            UnknownName: the exercise has no such task.
        """
        for task in self.tasks:
            if task.id == task_id:
                return task
        known = ", ".join(task.id for task in self.tasks)
        raise UnknownName(f'Exercise "{self.id}" has no task "{task_id}". Its tasks: {known}.')


def exercise_ids() -> list[str]:
    """The ids of all exercises of the course, in order."""
    return sorted(path.parent.name for path in (course_dir() / "exercises").glob("*/exercise.toml"))


def load_exercise(exercise_id: str) -> Exercise:
    """Read one exercise.

    Raises:
        UnknownName: there is no exercise with this id.
        CourseError: its exercise.toml is broken; the message says where.
    """
    path = course_dir() / "exercises" / exercise_id / "exercise.toml"
    if not re.fullmatch(r"\w+", exercise_id) or not path.is_file():
        known = ", ".join(exercise_ids()) or "none"
        raise UnknownName(f'There is no exercise "{exercise_id}". Exercises: {known}.')
    try:
        fields = msgspec.toml.decode(path.read_bytes())
        exercise = msgspec.convert({"id": exercise_id, **fields}, Exercise)
    except (msgspec.MsgspecError, ValueError) as error:
        raise CourseError(f'"exercises/{exercise_id}/exercise.toml" is broken: {error}.') from None
    return exercise
