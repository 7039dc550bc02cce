"""nbgrader's exchange, past no link."""

from dockyard.classroom.gradebook import Course  # first: it makes the import of nbgrader short

# isort: split
import pwd
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from nbgrader.coursedir import CourseDirectory
from nbgrader.exchange import ExchangeError
from nbgrader.exchange.default import ExchangeCollect

from dockyard.classroom import records
from dockyard.classroom.intake.archives import in_folder, open_in, shown
from dockyard.classroom.intake.taking import STAMP, Outcome, take
from dockyard.classroom.intake.uploads import Upload, is_learner
from dockyard.classroom.submissions import MAX_FILES, walk
from dockyard.errors import UnknownName


class Collector(ExchangeCollect):
    """nbgrader's own, but it follows no link, and no learner can stop it for the others.

    nbgrader_config.py names it, so `nbgrader collect` and formgrader's button use it, too.
    """

    def init_src(self) -> None:
        at: Any = self.coursedir
        submitted = Path(at.format_path(at.submitted_directory, ".", "."))
        submitted.mkdir(parents=True, exist_ok=True)  # the gradebook is made beside it
        self.outcomes: list[Outcome] = []
        super().init_src()  # type: ignore[no-untyped-call]
        for record in [each for each in self.src_records if not is_learner(each["username"])]:
            self.src_records.remove(record)
            why = "it is not named as `nbgrader submit` names what it hands in"
            self._report(Outcome(shown(record["filename"])[1:-1], "left out", 1, why, True))

    def _path_to_record(self, path: str) -> dict[str, Any]:
        try:
            return dict(super()._path_to_record(path))  # type: ignore[no-untyped-call]
        except Exception:  # of another kind for each way not to name it
            name = Path(path).name
            return {"username": f"/{name}", "filename": name, "timestamp": datetime.min}

    def do_copy(self, src: str, dest: str, log: Any = None) -> None:  # noqa: ARG002
        folder, target = Path(src), Path(dest)
        files = [] if folder.is_symlink() else in_folder(folder, MAX_FILES + 1)
        if not files:  # a link, or nothing: then this is what cannot be read
            name = f"{target.name}.ipynb" if folder.is_symlink() else folder.name
            files = [(name, partial(open_in, folder.parent, folder.name))]
        learner, when = target.parent.name, self._path_to_record(src)["timestamp"]
        outcome = take([Upload(learner, *each, when=when) for each in files], target)
        owner = _owner(folder)
        if self.check_owner and owner != learner:
            why = f"handed in by {owner}: look into it, or switch c.ExchangeCollect.check_owner off"
            reason = "; ".join(filter(None, [why, outcome.reason]))
            outcome = replace(outcome, reason=reason, is_doubtful=True)
        self._report(outcome)

    def _report(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)
        (self.log.warning if outcome.is_doubtful else self.log.info)(str(outcome))


def _owner(path: Path) -> str:
    number = path.lstat().st_uid
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"user {number}"


def from_exchange(exercise: str) -> Iterator[Outcome]:
    config = Course().config
    at = CourseDirectory(config=config, assignment_id=exercise)
    collector: Any = Collector(coursedir=at, config=config, update=True)  # type: ignore[no-untyped-call]
    instead = f"To collect from a zip or a folder, name it: dockyard collect {exercise} SOURCE."
    if not Path(collector.root).is_dir():
        where = f'"{collector.root}" (c.Exchange.root in "nbgrader_config.py")'
        raise UnknownName(f"There is no nbgrader exchange at {where}. {instead}")
    try:
        collector.start()
    except ExchangeError as error:
        raise UnknownName(f"nbgrader's exchange cannot be read: {error}. {instead}") from None
    if not collector.src_records and not collector.outcomes:
        raise UnknownName(f'Nothing for "{exercise}" is in "{collector.inbound_path}". {instead}')
    yield from sorted(collector.outcomes, key=lambda each: each.learner)
    told = {each.learner for each in collector.outcomes}
    for learner in {each["username"] for each in collector.src_records} - told:
        there = walk(records.folder() / "submitted" / learner / exercise)
        yield Outcome(learner, "unchanged", len([path for path in there if path.name != STAMP]))
