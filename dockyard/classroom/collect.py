"""Takes in submissions: from a learning platform's download, a folder, or nbgrader's exchange.

Learners choose names and contents of what they hand in. So a submission is read first: within
limits, past no link, out of at most one zip. Only what is whole is then put in place.
"""

from dockyard.classroom.gradebook import Course  # first: it makes the import of nbgrader short

# isort: split
import errno
import io
import json
import os
import pwd
import re
import shutil
import stat
import unicodedata
import zipfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import IO, Any, Literal, get_args

from nbgrader.coursedir import CourseDirectory
from nbgrader.exchange import ExchangeError
from nbgrader.exchange.default import ExchangeCollect
from nbgrader.utils import parse_utc

from dockyard.classroom import records
from dockyard.classroom.submissions import IGNORED, MAX_BYTES, MAX_FILES, SetAside, is_usable, walk
from dockyard.course import Exercise, exercise_ids
from dockyard.errors import CourseError, LabError, UnknownName
from dockyard.settings import Say, course_dir, quiet

#: What a file's name tells, in nbgrader's words: first what a platform writes, and so no learner
#: can forge. Without a file_id, the platform wrote the file, too: a text typed in, or a receipt.
LAYOUTS = (
    # Moodle, in folders or flat: Ann Lee_12345_assignsubmission_file_/02_clustering.ipynb
    r"(?P<who>(?P<student_id>[^_/]+)(_\d+)?)_assignsubmission_(file_/?(?P<file_id>.+)|.*)",
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
JUNK = IGNORED | {"__MACOSX", ".DS_Store", "Thumbs.db", "desktop.ini"}
STAMP = "timestamp.txt"
TOO_MUCH = f"it has over {MAX_FILES} files, or {MAX_BYTES / 1e6:g} MB"

Status = Literal["collected", "unchanged", "set aside", "left out"]
#: Opens a file; raises SetAside where it is no plain one.
Open = Callable[[], IO[bytes]]


@dataclass(frozen=True)
class Outcome:
    """What became of an upload.

    Attributes:
        learner: or, left out, the name of a file that is nobody's.
        files: how many there are now.
        reason: why it was not taken; or what an instructor should know.
        is_doubtful: an instructor has to look at it.
    """

    learner: str
    status: Status
    files: int
    reason: str = ""
    is_doubtful: bool = False

    def __str__(self) -> str:
        if self.status == "collected":
            files = f"{self.files} file{'s' * (self.files != 1)}"
            return f"{self.learner}: collected, {files}{'; ' * bool(self.reason)}{self.reason}"
        learner = f'"{self.learner}"' if self.status == "left out" else self.learner
        return f"{learner}: {self.status}: {self.reason}"


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


def collect(exercise: Exercise, source: Path | None = None, say: Say = quiet) -> list[Outcome]:
    """Take in submissions to where nbgrader keeps them; what is there of others stays.

    Args:
        source: a zip or a folder; nbgrader's exchange by default.

    Raises:
        UnknownName: there are no submissions.
        LabError: Ctrl-C.
        CourseError: nbgrader_config.py is missing or broken.
    """
    found = _from_exchange(exercise.id) if source is None else _from_source(exercise.id, source)
    outcomes = []
    try:
        for outcome in found:
            outcomes.append(outcome)
            if outcome.status != "unchanged":
                say(str(outcome))
    except KeyboardInterrupt:
        raise LabError("Collecting was ended. The same command goes on from here.") from None
    return outcomes


def to_text(outcomes: list[Outcome], exercise: Exercise) -> str:
    """The last line: how many of each, and what comes next."""
    counts = Counter(each.status for each in outcomes)
    numbers = ", ".join(f"{status} {counts[status]}" for status in get_args(Status))
    return f"{numbers.capitalize()}. Next: dockyard grade {exercise.id}"


def to_json(outcomes: list[Outcome]) -> str:
    """A list with one object for each upload."""
    fields = ("learner", "status", "files", "reason")
    rows = [{field: getattr(each, field) for field in fields} for each in outcomes]
    return json.dumps(rows, indent=1)


def _from_source(exercise: str, source: Path) -> Iterator[Outcome]:
    layouts = (
        "A zip or a folder has them as Moodle, Canvas or Blackboard let you download them, or as "
        f"<learner>/{exercise}/<files>, <learner>/<files>, <learner>.ipynb or <learner>.zip."
    )
    try:
        files = _in_folder(source.resolve()) if source.is_dir() else _in_zip(source)
    except FileNotFoundError:
        raise UnknownName(f'There is no "{source}" to collect from. {layouts}') from None
    except Exception as error:  # zipfile has another kind for each way to be broken
        raise UnknownName(f'"{source}" is no zip that can be read: {error}. {layouts}') from None
    uploads, left_out = _by_learner(files, exercise)
    if not uploads:
        names = ", ".join(f'"{each.learner}"' for each in left_out[:3]) or "nothing"
        raise UnknownName(f'In "{source}" is {names}, and no submission. {layouts}')
    yield from left_out
    for learner in sorted(uploads):
        yield _take(uploads[learner], records.folder() / "submitted" / learner / exercise)


def _in_folder(folder: Path, most: int | None = None) -> list[tuple[str, Open]]:
    names = (path.as_posix() for path in islice(walk(folder), most))
    return [(name, partial(_open, folder, name)) for name in names if not _is_junk(name)]


def _open(folder: Path, name: str) -> IO[bytes]:
    """Open a file in a folder, past no link: not even one that was put there just now."""
    at = os.open(folder, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        for part in name.split("/"):
            inside = os.open(part, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=at)
            os.close(at)
            at = inside
        if not stat.S_ISREG(os.fstat(at).st_mode):
            raise OSError(errno.ENODEV, "it is a device, not a file")
    except OSError as error:
        os.close(at)
        why = "is a link" if error.errno == errno.ELOOP else f"cannot be read: {error.strerror}"
        raise SetAside(f"{_shown(name)} in it {why}") from None
    return os.fdopen(at, "rb")


def _in_zip(zipped: Path | IO[bytes]) -> list[tuple[str, Open]]:
    archive = zipfile.ZipFile(zipped)
    members = [each for each in archive.infolist() if not each.filename.endswith("/")]
    named = [
        (each.filename.removeprefix("./"), partial(_unpack, archive, each)) for each in members
    ]
    return [each for each in named if not _is_junk(each[0])]


def _unpack(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> IO[bytes]:
    name = _shown(member.filename)
    if stat.S_IFMT(member.external_attr >> 16) not in (0, stat.S_IFREG):
        raise SetAside(f"{name} in it is a link or a device, not a file")
    if member.flag_bits & 1:
        raise SetAside(f"{name} in it is encrypted")
    # zipfile unpacks what is compressed in other ways as a whole, however little it is asked for.
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise SetAside(f"{name} in it is compressed in an unusual way")
    return archive.open(member)


def _by_learner(
    files: list[tuple[str, Open]], exercise: str
) -> tuple[dict[str, list[Upload]], list[Outcome]]:
    """What is whose, and what is nobody's."""
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
        if not _is_learner(learner) or learner in ids:
            nobodys[name.split("/")[0]].append(name)
        elif upload and upload.exercise in ("", exercise):
            uploads[learner].append(upload)
    why = "its name does not tell whose it is; put it into a folder named for its learner"
    return uploads, [
        Outcome(_shown(each[0])[1:-1], "left out", len(each), why, True)
        for each in nobodys.values()
    ]


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
        when=_time(known["timestamp"]),
        number=int(known["upload"] or 0),
        is_work=bool(work),
    )


def _take(uploads: list[Upload], target: Path) -> Outcome:
    """Put one learner's submission into *target*, or what is to be known of it."""
    files, was_there = _latest(uploads, target.name), os.path.lexists(target)
    status: Status = "collected"
    notes = ["the latest attempt"] if len(files) < sum(each.is_work for each in uploads) else []
    if uploads[0].who == target.parent.name:
        notes.append("somebody else has the same name")
    try:
        content, more = _content(files, target.name)
        notes += more
    except SetAside as error:
        status, notes = "set aside", [str(error), *notes]
        content = _as_it_is(files, target.name) or {"not-collected.txt": f"{error}\n".encode()}
    if not _place(target, content):
        status = "unchanged" if status == "collected" else status
    elif was_there:
        notes.append("in the place of what was there")
    number = len(content.keys() - {STAMP})
    return Outcome(target.parent.name, status, number, "; ".join(notes), status == "set aside")


def _latest(uploads: list[Upload], exercise: str) -> list[Upload]:
    """The files of the last attempt; what a platform wrote only where there is nothing else."""
    files = [each for each in uploads if each.is_work] or uploads
    last = max(each.when or datetime.min for each in files)
    files = [each for each in files if (each.when or datetime.min) == last]
    known = {path.name for path in (course_dir() / "exercises" / exercise).glob("*")}
    known |= {each.name for each in files}
    newest: dict[str | int, Upload] = {}
    for index, each in enumerate(sorted(files, key=lambda each: each.number)):
        original = re.sub(r"-\d+(?=\.\w+\Z)", "", each.name)  # as Canvas names what comes again
        name = original if each.number and original in known else each.name
        newest[name if each.number else index] = replace(each, name=name)
    return list(newest.values())


def _content(uploads: list[Upload], exercise: str) -> tuple[dict[str, bytes], list[str]]:
    """A submission's files, and what an instructor should know of them.

    Raises:
        SetAside: they cannot be taken.
    """
    files = _checked((each.name, each.open) for each in uploads)
    notebook = _notebook(files, exercise)
    zips = [name for name in files if name.lower().endswith(".zip")]
    if not notebook and len(zips) == 1:
        inside = _unzipped(zips[0], files.pop(zips[0]))
        notebook = _notebook(inside, exercise)
        files |= inside
    if not notebook:
        raise SetAside("there is no notebook in it")
    root = notebook.removesuffix(PurePosixPath(notebook).name)
    taken = {name.removeprefix(root): files[name] for name in files if name.startswith(root)}
    taken[f"{exercise}.ipynb"] = taken.pop(notebook.removeprefix(root))
    left = len(files) - len(taken)
    notes = [f"left out what is not beside its notebook: {left} files"] if left else []
    stamp, theirs = _stamp(uploads), taken.pop(STAMP, None)
    if theirs and not stamp:
        notes.append(f"its own {STAMP} does not count")
    content = _read_all(taken)
    return ({**content, STAMP: stamp} if stamp else content), notes


def _notebook(files: Iterable[str], exercise: str) -> str:
    """The name of the notebook that counts; "" where there is none."""
    notebooks = [name for name in files if name.lower().endswith(".ipynb")]
    named = [name for name in notebooks if PurePosixPath(name).name == f"{exercise}.ipynb"]
    found = named or notebooks
    if len(found) > 1:
        names = ", ".join(map(_shown, found[:3]))
        raise SetAside(
            f"nobody can tell which of its {len(found)} notebooks counts: {names}. If they are "
            "several learners', name the folder in which these learners' folders are"
        )
    if found and not named and PurePosixPath(found[0]).stem in exercise_ids():
        raise SetAside(f"{_shown(found[0])} in it is the notebook of another exercise")
    return found[0] if found else ""


def _unzipped(name: str, opener: Open) -> dict[str, Open]:
    data = _read(name, opener, MAX_BYTES)
    if data.count(b"PK\1\2") > 10 * MAX_FILES:  # before zipfile makes an object of each of them
        raise SetAside(TOO_MUCH)
    with _reading(f"{_shown(name)} is no zip that can be read"):
        return _checked(_in_zip(io.BytesIO(data)))


def _checked(named: Iterable[tuple[str, Open]]) -> dict[str, Open]:
    """Files by name, if all of them can be written into one folder, and nowhere else."""
    files: dict[str, Open] = {}
    for name, opener in named:
        if not name.isprintable() or len(name.encode()) > 255 or re.search(r"\A[A-Za-z]:|\\", name):
            raise SetAside(f"{_shown(name)} in it cannot be the name of a file")
        if name in files:
            raise SetAside(f"{_shown(name)} is in it twice")
        files[name] = opener
    if len(files) > MAX_FILES:
        raise SetAside(TOO_MUCH)
    folders = {str(folder) for name in files for folder in PurePosixPath(name).parents}
    for name in files:
        if {"", ".", ".."} & {*name.split("/")} or name in folders:
            raise SetAside(f"{_shown(name)} in it cannot be the name of a file")
    return files


def _read_all(files: dict[str, Open]) -> dict[str, bytes]:
    content: dict[str, bytes] = {}
    room = MAX_BYTES
    for name, opener in _checked(files.items()).items():
        content[name] = _read(name, opener, room)
        room -= len(content[name])
    return content


def _read(name: str, opener: Open, room: int) -> bytes:
    """A file's content. What a zip says of sizes is not believed: unpacking ends at *room*."""
    with _reading(f"{_shown(name)} in it cannot be read"), opener() as stream:
        content = stream.read(room + 1)
    if len(content) > room:
        raise SetAside(TOO_MUCH)
    return content


@contextmanager
def _reading(what_failed: str) -> Iterator[None]:
    """Whatever goes wrong concerns one learner; zipfile has another kind for each way to break."""
    try:
        yield
    except SetAside:
        raise
    except Exception as error:
        why = str(error)[:99] or type(error).__name__
        raise SetAside(f"{what_failed}: {why}") from None


def _as_it_is(uploads: list[Upload], exercise: str) -> dict[str, bytes]:
    """What was handed in, for a person to look at; nothing where it cannot be kept.

    With a notebook of the right name, it would be graded as if all were well.
    """
    with suppress(SetAside):
        files = _checked((each.name, each.open) for each in uploads if each.name != STAMP)
        return {} if f"{exercise}.ipynb" in files else _read_all(files)
    return {}


def _stamp(uploads: list[Upload]) -> bytes:
    """When it was handed in, as far as anybody but the learner says so."""
    if when := uploads[0].when:
        return when.isoformat(" ").encode()
    for each in uploads:
        if each.name == STAMP and each.exercise:
            stamp = _read(each.name, each.open, MAX_BYTES)[:99]
            return stamp if _time(stamp.decode(errors="replace").strip()) else b""
    return b""


def _time(text: str) -> datetime | None:
    try:
        return parse_utc(text) if text else None
    except Exception:  # of another kind for each way to write no date
        return None


def _place(target: Path, content: dict[str, bytes]) -> bool:
    """Make *target* have these files and no others: all or nothing, also when killed.

    Returns:
        Whether it had others.
    """
    making, before = (target.with_name(f".{target.name}.{each}") for each in ("new", "old"))
    _settle(target, making, before)
    if _has(target, content):
        return False
    try:
        for name, data in content.items():
            (making / name).parent.mkdir(parents=True, exist_ok=True)
            (making / name).write_bytes(data)
        if os.path.lexists(target):
            target.rename(before)
        making.rename(target)
    finally:
        _settle(target, making, before)
    return True


def _settle(target: Path, making: Path, before: Path) -> None:
    """Remove what is in the making; put back what was there if nothing has taken its place."""
    if os.path.lexists(before) and not os.path.lexists(target):
        before.rename(target)
    for path in (making, before):
        if path.is_symlink() or path.is_file():
            path.unlink()
        else:
            shutil.rmtree(path, ignore_errors=True)


def _has(folder: Path, content: dict[str, bytes]) -> bool:
    if folder.is_symlink() or {path.as_posix() for path in walk(folder)} != content.keys():
        return False
    paths = {folder / name: data for name, data in content.items()}
    plain = all(path.is_file() and not path.is_symlink() for path in paths)
    return plain and all(path.read_bytes() == data for path, data in paths.items())


def _is_learner(name: str) -> bool:
    """Whether a name can be a learner's, and a folder's on any machine."""
    is_fit = is_usable(name) and not name.startswith(".") and not {*name} & {*'/\\:*?"<>|'}
    return is_fit and 0 < len(name.encode()) <= 100


def _is_junk(name: str) -> bool:
    return any(part in JUNK or part.startswith("._") for part in name.split("/"))


def _shown(name: str) -> str:
    """A name that a learner chose, safe to print."""
    short = name if len(name) <= 60 else f"{name[:59]}…"
    return f'"{short}"' if short.isprintable() else ascii(short)


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
        for record in [each for each in self.src_records if not _is_learner(each["username"])]:
            self.src_records.remove(record)
            why = "it is not named as `nbgrader submit` names what it hands in"
            self._report(Outcome(_shown(record["filename"])[1:-1], "left out", 1, why, True))

    def _path_to_record(self, path: str) -> dict[str, Any]:
        try:
            return dict(super()._path_to_record(path))  # type: ignore[no-untyped-call]
        except Exception:  # of another kind for each way not to name it
            name = Path(path).name
            return {"username": f"/{name}", "filename": name, "timestamp": datetime.min}

    def do_copy(self, src: str, dest: str, log: Any = None) -> None:  # noqa: ARG002
        folder, target = Path(src), Path(dest)
        files = [] if folder.is_symlink() else _in_folder(folder, MAX_FILES + 1)
        if not files:  # a link, or nothing: then this is what cannot be read
            name = f"{target.name}.ipynb" if folder.is_symlink() else folder.name
            files = [(name, partial(_open, folder.parent, folder.name))]
        learner, when = target.parent.name, self._path_to_record(src)["timestamp"]
        outcome = _take([Upload(learner, *each, when=when) for each in files], target)
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


def _from_exchange(exercise: str) -> Iterator[Outcome]:
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
