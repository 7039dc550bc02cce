"""Tells whose an uploaded file is, from its name: each learning platform has its own way."""

from dockyard.classroom.gradebook import Course  # first: it makes the import of nbgrader short

# isort: split
import re
import unicodedata
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePosixPath

from nbgrader.utils import parse_utc

from dockyard.classroom.intake.archives import Open
from dockyard.classroom.submissions import is_usable
from dockyard.course import exercise_ids
from dockyard.errors import CourseError

#: What a file's name tells, in nbgrader's words: first what a platform writes, and so no learner
#: can forge. Without a file_id, the platform wrote the file, too: a text typed in, or a receipt.
LAYOUTS = (
    # Moodle, in folders or flat: Ann Lee_12345_assignsubmission_file/02_clustering.ipynb; older
    # ones write file_/, and without folders it is file_02_clustering.ipynb
    r"(?P<who>(?P<student_id>[^_/]+)(_\d+)?)_assignsubmission_(file(_/?|/)(?P<file_id>.+)|.*)",
    # Canvas without names: LATE_anon_x7Bq1_67890_02_clustering.ipynb
    r"(LATE_)?(?P<student_id>anon_[^_/]+)_((?P<upload>\d{1,18})_(?P<file_id>[^/]+)|\w+\.html)",
    # Canvas, handed in once more: leeann_LATE_12345_67890_02_clustering-1.ipynb
    r"(?P<who>(?P<student_id>[^\WA-Z]+?)(_LATE)?_\d+)"
    r"_((?P<upload>\d{1,18})_(?P<file_id>[^/]+)|(text|link)\.html)",
    # Blackboard: Lab_annlee_attempt_2026-11-20-10-00-00_02_clustering.ipynb
    r"(?P<who>[^/]*?_(?P<student_id>[^_/]+))_attempt_(?P<timestamp>\d{4}(-\d\d){5})"
    r"(_(?P<file_id>[^/]+)|\.txt)",
    # nbgrader: ann/02_clustering/02_clustering.ipynb
    r"(submitted/)?(?P<student_id>[^/]+)/(?P<exercise>EXERCISES)/(?P<file_id>.+)",
    r"(?P<student_id>[^/]+)/(?P<file_id>.+)",
    r"(?P<file_id>(?P<student_id>[^/]+)\.(?i:ipynb|zip))",
)


@dataclass(frozen=True)
class Upload:
    """A file of a learner, and what its place and name tell.

    Attributes:
        name: relative to the folder of the submission.
        who: tells two learners of one name apart.
        exercise: for which it was handed in, where nbgrader's folders say so.
        when: it was handed in.
        number: a later one is higher, at Canvas.
        is_work: it comes from the learner, not from the platform.
    """

    learner: str
    name: str
    open: Open
    who: str = ""
    exercise: str = ""
    when: datetime | None = None
    number: int = 0
    is_work: bool = True


def by_learner(
    files: list[tuple[str, Open]], exercise: str
) -> tuple[dict[str, list[Upload]], dict[str, list[str]]]:
    """The uploads of each learner; and names that tell of none, by their first part."""
    ids, layouts = exercise_ids(), _layouts()
    told = [(name, _told(name, each, layouts)) for name, each in files]
    people = defaultdict[str, set[str]](set)
    for _, upload in told:
        if upload and upload.who:
            people[upload.learner].add(upload.who)
    uploads, nobodys = defaultdict[str, list[Upload]](list), defaultdict[str, list[str]](list)
    for name, upload in told:
        learner = upload.learner if upload else ""
        learner = upload.who if upload and len(people[learner]) > 1 else learner
        if not is_learner(learner) or learner in ids:
            nobodys[name.split("/")[0]].append(name)
        elif upload and upload.exercise in ("", exercise):
            uploads[learner].append(upload)
    return uploads, nobodys


def _layouts() -> list[re.Pattern[str]]:
    """How to read names: first as nbgrader_config.py says."""
    ids = "|".join(exercise_ids())
    ours = [layout.replace("EXERCISES", ids) + r"\Z" for layout in LAYOUTS]
    own = Course().config.FileNameCollectorPlugin.get("named_regexp", "")
    try:
        layouts = [re.compile(each, re.DOTALL) for each in [own, *ours] if each]
    except re.error as error:
        raise CourseError(f'"nbgrader_config.py": named_regexp is broken: {error}.') from None
    if not {"student_id", "file_id"} <= layouts[0].groupindex.keys():
        raise CourseError('"nbgrader_config.py": named_regexp needs student_id and file_id.')
    return layouts


def _told(name: str, opener: Open, layouts: list[re.Pattern[str]]) -> Upload | None:
    """What a name tells. nbgrader sees whole paths, so its patterns may begin with a "/"."""
    matches = (layout.match(each) for layout in layouts for each in (name, f"/{name}"))
    if not (match := next(filter(None, matches), None)):
        return None
    known = defaultdict[str, str](str, match.groupdict(""))
    path, work = PurePosixPath(name), known["file_id"]
    missing = "" if work.endswith(path.suffix) else path.suffix  # nbgrader's patterns may lack it
    return Upload(
        learner=unicodedata.normalize("NFC", known["student_id"]),
        name=work + missing if work else path.name,
        open=opener,
        who=unicodedata.normalize("NFC", known["who"]),
        exercise=known["exercise"],
        when=time_of(known["timestamp"]),
        number=int(known["upload"] or 0),
        is_work=bool(work),
    )


def time_of(text: str) -> datetime | None:
    try:
        return parse_utc(text) if text else None
    except Exception:  # of another kind for each way to write no date
        return None


def is_learner(name: str) -> bool:
    """Whether a name can be a learner's, and a folder's on any machine."""
    is_fit = is_usable(name) and not name.startswith(".") and not {*name} & {*'/\\:*?"<>|'}
    return is_fit and 0 < len(name.encode()) <= 100
