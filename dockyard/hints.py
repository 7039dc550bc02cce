"""Hints: one step at a time, from what was found."""

import msgspec

from dockyard import grading, timeline
from dockyard.course import Exercise
from dockyard.errors import LabError, UnknownName
from dockyard.keeper import Keeper
from dockyard.lab import LabName
from dockyard.report import CriterionResult, total


class Given(msgspec.Struct):
    """How far a learner has been helped with one finding; another finding starts anew."""

    found: str = ""
    steps: int = 0


def next_hint(
    keeper: Keeper, exercise: Exercise, learner: str, criterion_id: str | None = None
) -> str:
    """The next hint for one criterion; by default for the first that is not met.

    Raises:
        UnknownName: the exercise has no such criterion.
        LabError: the lab cannot be looked at.
    """
    known = {each.id: each for each in grading.criteria(exercise)}
    if criterion_id is not None and criterion_id not in known:
        raise UnknownName(
            f'Exercise "{exercise.id}" has no criterion "{criterion_id}". Criteria: '
            + ", ".join(known)
        )
    task = known[criterion_id].task if criterion_id else None
    result = keeper.check(exercise, learner, task)
    if result.errors:
        raise LabError(result.errors[0].found)
    open_ones = [each for each in result.criteria if each.outcome != "passed"]
    if criterion_id:
        open_ones = [each for each in open_ones if each.id == criterion_id]
    if not open_ones:
        return f"Nothing to mend here: {total(result)}."
    first = next((each for each in open_ones if each.outcome == "failed"), open_ones[0])
    if first.outcome == "blocked":
        return f'"{first.title}" cannot be looked at yet: it {first.found}.'
    return step(exercise, learner, first)


def step(exercise: Exercise, learner: str, result: CriterionResult) -> str:
    """The next hint for a criterion that was found unmet."""
    hints = exercise.hints().get(result.id, ["The check found: {found}."])
    path = LabName(exercise.id, learner).keys / "hints.json"
    try:
        given = msgspec.json.decode(path.read_bytes(), type=dict[str, Given])
    except (OSError, msgspec.MsgspecError):
        given = {}
    last = given.get(result.id, Given())
    step = last.steps if last.found == result.found else 0
    shown = min(step, len(hints) - 1)
    given[result.id] = Given(result.found, shown + 1)
    path.write_bytes(msgspec.json.encode(given))
    timeline.record_hint(LabName(exercise.id, learner), result.id)
    text = hints[shown].format(found=result.found)
    return f'"{result.title}" (hint {shown + 1} of {len(hints)}): {text}'
