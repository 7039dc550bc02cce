"""The course at a glance: what is done, what is next, and what it takes of the machine."""

from dataclasses import dataclass
from xml.etree.ElementTree import Element, SubElement, tostring

from dockyard import progress, timeline
from dockyard.course import Exercise, exercise_ids, load_exercise
from dockyard.keeper import Keeper
from dockyard.lab import LabName
from dockyard.progress import Progress
from dockyard.screen.widget import WORDS

SAYS = WORDS["home"]
CELL = "padding:4px 12px 4px 0;text-align:left;vertical-align:top"
LINE = f"{CELL};white-space:nowrap"


@dataclass(frozen=True)
class Part:
    """One part of the course, for one learner."""

    exercise: Exercise
    progress: Progress
    #: Minutes that the learner was at work.
    spent: int

    @property
    def open_task(self) -> str | None:
        return self.progress.open_task(self.exercise)


@dataclass(frozen=True)
class Home:
    """A learner's course. It shows itself as a table, or as text where there are no pages."""

    parts: list[Part]
    #: Exercises whose labs are there → bytes of memory that they use.
    labs: dict[str, int]

    @property
    def next_step(self) -> str:
        """One sentence."""
        for part in self.parts:
            if task := part.open_task:
                title = part.exercise.task(task).title
                return SAYS["next"].format(part=part.exercise.title, task=title)
        return SAYS["done"]

    @property
    def resources(self) -> str:
        """One sentence."""
        used = ", ".join(
            SAYS["lab"].format(id=id_, megabytes=used // 2**20) for id_, used in self.labs.items()
        )
        return SAYS["labs"].format(labs=used) if used else SAYS["no_labs"]

    def __repr__(self) -> str:
        rows = [f"{part.exercise.id}: {_points(part)}" for part in self.parts]
        return "\n".join([self.next_step, *rows, self.resources])

    def _repr_html_(self) -> str:
        page = Element("div")
        SubElement(SubElement(page, "p"), "b").text = self.next_step
        table = SubElement(page, "table")
        head = SubElement(SubElement(table, "thead"), "tr")
        for name in ("part", "exercise", "time", "points"):
            SubElement(head, "th", scope="col", style=CELL).text = SAYS[name]
        for part in self.parts:
            _row(SubElement(table, "tr"), part)
        SubElement(page, "p").text = self.resources
        return tostring(page, "unicode", method="html")


def home(keeper: Keeper, learner: str) -> Home:
    """What is known of a learner's course."""
    parts = [_part(load_exercise(each), learner) for each in exercise_ids()]
    labs = {name.exercise: memory for name, memory in keeper.labs(learner).items()}
    return Home(parts, labs)


def _part(exercise: Exercise, learner: str) -> Part:
    moments = timeline.read(timeline.path_of(LabName(exercise.id, learner)))
    return Part(exercise, progress.of(exercise.id, learner), timeline.minutes(moments))


def _time(part: Part) -> str:
    return SAYS["spent" if part.spent else "minutes"].format(
        spent=part.spent, minutes=part.exercise.minutes
    )


def _points(part: Part) -> str:
    if not part.progress.criteria:
        return SAYS["not_begun"]
    return SAYS["reached"].format(
        points=f"{part.progress.points:g}", max_points=f"{part.progress.max_points:g}"
    )


def _row(row: Element, part: Part) -> None:
    exercise = part.exercise
    tutorial, notebook = f"{exercise.id}.ipynb", f"../work/{exercise.id}/{exercise.id}.ipynb"
    for text, link in ((exercise.id, tutorial), (exercise.title, notebook)):
        SubElement(SubElement(row, "td", style=CELL), "a", href=link).text = text
    SubElement(row, "td", style=LINE).text = _time(part)
    cell = SubElement(row, "td", style=LINE)
    most = part.progress.max_points or 1
    bar = {"value": f"{part.progress.points:g}", "max": f"{most:g}", "aria-label": exercise.title}
    SubElement(cell, "progress", bar, style="width:6em;margin-right:8px").tail = _points(part)
