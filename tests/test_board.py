"""The board: it shows what checks find, at once, and whoever is in the room can only tell it."""

import asyncio
import json
import re
import signal
import statistics
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path
from time import perf_counter, time
from typing import Any, Literal

import docker
import msgspec
import pytest
from axe_playwright_python.sync_playwright import Axe
from click.testing import CliRunner
from playwright.sync_api import Browser, Locator, Page, expect
from tornado.httpclient import HTTPClientError, HTTPRequest
from tornado.websocket import WebSocketClientConnection, websocket_connect

from bench.board import Running, running, simulated
from bench.board import shown as board_shown
from dockyard import grading, pinned, progress, settings
from dockyard.board import agreement, news, places, post, sharing
from dockyard.board.roll import MOST, MOST_OF_ONE, Cell, Roll, Row
from dockyard.cli import main
from dockyard.course import load_exercise
from dockyard.grading import Criterion
from dockyard.keeping import Engine
from dockyard.lab import Lab, LabName, free_ports
from dockyard.report import Report
from dockyard.screen.panel import CheckPanel
from dockyard.screen.watching import Watcher
from dockyard.waiting import wait_until

ID = "02_clustering"
LEARNERS = [f"learner-{number:03}" for number in range(100)]
SOON = 10  # seconds: on a busy machine, too
expect.set_options(timeout=20_000 * settings.patience())


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A deep folder: the path of a socket has to be short."""
    return tmp_path_factory.mktemp("state") / ("deep" * 30)


@pytest.fixture(scope="module")
def board(state: Path) -> Iterator[Running]:
    """One for all tests that leave it alone: each has a learner of its own."""
    with running("--address", "127.0.0.1", state=state) as started:
        yield started


@pytest.fixture
def here(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """This process belongs to that board's installation."""
    monkeypatch.setenv("DOCKYARD_STATE", str(state))


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Otherwise to one that has none."""
    monkeypatch.setenv("DOCKYARD_STATE", str(tmp_path / "elsewhere"))
    return tmp_path / "elsewhere"


@pytest.fixture
def own_board(elsewhere: Path) -> Iterator[Running]:  # noqa: ARG001 (it is started there)
    """One that a test may end."""
    with running("--address", "127.0.0.1") as started:
        yield started


@pytest.fixture
def ann(request: pytest.FixtureRequest) -> str:
    """A learner's name."""
    return f"ann-{abs(hash(request.node.nodeid)) % 10**8}"


@pytest.fixture(scope="module")
def known() -> list[Criterion]:
    return grading.criteria(load_exercise(ID))


@pytest.fixture
def check(known: list[Criterion]) -> Callable[[str, int], Report]:
    """A report of somebody who has met the first so many criteria."""
    return lambda learner, passed: simulated(load_exercise(ID), known, learner, passed)


class Loop:
    """An event loop in a thread of its own: the browser's tests have one in this."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = ThreadPoolExecutor(1)

    def run(self, work: Callable[[], Awaitable[Any]]) -> Any:
        """What *work* awaits."""

        async def awaited() -> Any:
            return await asyncio.wait_for(work(), SOON * settings.patience())

        return self._thread.submit(self._loop.run_until_complete, awaited()).result()

    def close(self) -> None:
        self._thread.shutdown()
        self._loop.close()


class Live:
    """What a page would know."""

    def __init__(self, board: Running) -> None:
        self.cells: dict[tuple[str, str], dict[str, Any]] = {}
        self._loop = Loop()
        self._url = board.link.replace("http", "ws").replace("/?", "/live?")
        self._connection = self._loop.run(lambda: websocket_connect(self._url))
        self.whole = json.loads(str(self._loop.run(self._connection.read_message)))
        self._take(self.whole)

    def _take(self, told: dict[str, Any]) -> None:
        for learner, exercise, cell in told["cells"]:
            self.cells[learner, exercise] = cell

    def until(self, condition: Callable[[], object]) -> None:
        """Listen until something is so."""
        while not condition():
            self._take(json.loads(str(self._loop.run(self._connection.read_message))))

    def ask(self, **what: str) -> None:
        self._loop.run(lambda: self._connection.write_message(json.dumps(what)))

    def points(self, learner: str) -> float | None:
        cell = self.cells.get((learner, ID))
        return sum(each["points"] for each in cell["criteria"].values()) if cell else None

    def close(self) -> None:
        self._loop.run(self._close)
        self._loop.close()

    async def _close(self) -> None:
        self._connection.close()


@pytest.fixture
def live(board: Running) -> Iterator[Live]:
    opened = Live(board)
    yield opened
    opened.close()


def letter(what: news.News, sender: str = "a" * 32) -> bytes:
    return news.encode(sender, what)


class Room:
    """Somebody in the room."""

    def __init__(self, board: Running) -> None:
        told = re.fullmatch(r"(.+):(\d+)@(.+)", board.address)
        assert told
        self.host, self.port, self.pin = told[1], int(told[2]), told[3]

    def ask(self, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
        connection = pinned.connect(self.host, self.port, self.pin, SOON)
        try:
            connection.request(method, path, body)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def send(self, body: bytes) -> int:
        return self.ask("POST", agreement.PATH, body)[0]


# What the class is made of


@pytest.fixture
def roll(known: list[Criterion]) -> Roll:
    return Roll({ID: known})


def hear(roll: Roll, what: news.News, sender: str = news.HERE) -> list[tuple[str, str]]:
    return roll.hear(news.Letter(sender, what), "" if sender == news.HERE else "192.0.2.1")


def test_somebody_is_on_the_first_that_is_open(
    roll: Roll, check: Callable[[str, int], Report], known: list[Criterion]
) -> None:
    hear(roll, news.of_report(check("ann", 2)))
    cell = roll.rows["ann"].cells[ID]
    assert cell.on == known[2].id
    began = cell.since
    assert abs(began - time()) < SOON
    hear(roll, news.of_report(check("ann", 2)))
    assert cell.since == began  # it goes on
    hear(roll, news.of_report(check("ann", 3)))
    assert (cell.on, cell.since > began) == (known[3].id, True)


def test_what_a_look_leaves_out_stays(
    roll: Roll, check: Callable[[str, int], Report], known: list[Criterion]
) -> None:
    hear(roll, news.of_report(check("ann", 3)))
    one = news.Found(known[3].id, "passed")
    hear(roll, news.Look(ID, "ann", [one]))
    skipped = news.Found(known[0].id, "blocked", skipped=True)
    hear(roll, news.Look(ID, "ann", [skipped]))
    assert roll.rows["ann"].cells[ID].on == known[4].id


def test_all_that_is_met_takes_help_back(
    roll: Roll, check: Callable[[str, int], Report], known: list[Criterion]
) -> None:
    hear(roll, news.Help(ID, "ann", True))
    hear(roll, news.of_report(check("ann", 3)))
    assert roll.rows["ann"].cells[ID].help
    hear(roll, news.of_report(check("ann", len(known))))
    assert not roll.rows["ann"].cells[ID].help


def test_a_name_cannot_be_taken_over(roll: Roll, check: Callable[[str, int], Report]) -> None:
    hear(roll, news.of_report(check("ann", 3)))
    before = msgspec.json.encode(roll.rows["ann"])
    assert hear(roll, news.of_report(check("ann", 9)), "b" * 32) == [("ann (2)", ID)]
    assert hear(roll, news.of_report(check("ann (2)", 9)), "c" * 32) == [("ann (2) (2)", ID)]
    hear(roll, news.Gone(), "b" * 32)
    assert msgspec.json.encode(roll.rows["ann"]) == before
    assert [*roll.rows] == ["ann", "ann (2) (2)"]


def test_nobody_fills_the_board(roll: Roll) -> None:
    for number in range(2 * MOST):
        hear(roll, news.Help(ID, f"many-{number}", True), "b" * 32)
    assert len(roll.rows) == MOST_OF_ONE
    for number in range(2 * MOST):
        hear(roll, news.Help(ID, f"own-{number}", True))
    assert len(roll.rows) == MOST


@pytest.mark.parametrize(
    "what",
    [
        news.Help("99_unknown", "ann", True),
        news.Look("99_unknown", "ann", [news.Found("three_nodes_ready", "passed")]),
        news.Look(ID, "ann", [news.Found("no_such_criterion", "passed")]),
        news.Look(ID, "\u202e\u200b", [news.Found("three_nodes_ready", "passed")]),
    ],
)
def test_what_is_not_of_this_course_changes_nothing(roll: Roll, what: news.News) -> None:
    assert hear(roll, what) == []
    assert roll.rows == {}


def test_another_days_class_is_forgotten(known: list[Criterion]) -> None:
    today = Row("ann", "ann", "", "", {ID: Cell(heard=time())})
    before = Row("bob", "bob", "", "", {ID: Cell(heard=time() - 20 * 3600)})
    assert [*Roll({ID: known}, [today, before]).rows] == ["ann"]


# Who may know


def status(url: str) -> int:
    try:
        with urllib.request.urlopen(url) as answer:  # noqa: S310 (our own)
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_a_page_takes_the_token(board: Running) -> None:
    assert status(board.link) == 200
    assert status(board.link[:-1]) == 403
    assert status(board.link.partition("?")[0]) == 403


@pytest.mark.parametrize(
    ("change", "headers"),
    [
        (lambda url: url[:-1], {}),
        (lambda url: url.partition("?")[0], {}),
        (lambda url: url, {"Origin": "http://elsewhere.example"}),
        (lambda url: url, {"Host": "elsewhere.example"}),
    ],
)
def test_so_does_its_websocket(
    board: Running, change: Callable[[str], str], headers: dict[str, str]
) -> None:
    url = change(board.link.replace("http", "ws").replace("/?", "/live?"))

    async def connect() -> WebSocketClientConnection:
        return await websocket_connect(HTTPRequest(url, headers=headers))

    loop = Loop()
    with pytest.raises(HTTPClientError, match="403"):
        loop.run(connect)
    loop.close()


def test_the_room_reads_nothing(board: Running, live: Live, ann: str) -> None:
    room = Room(board)
    assert room.send(letter(news.Help(ID, ann, True))) == 204
    live.until(lambda: (ann, ID) in live.cells)
    token = board.link.partition("?")[2]
    for path in ("/", "/live", f"/?{token}", f"/live?{token}", "/board.js", agreement.PATH):
        for method in ("GET", "POST", "HEAD", "OPTIONS", "PUT", "DELETE"):
            if (method, path) != ("POST", agreement.PATH):
                code, said = room.ask(method, path)
                assert (code in (404, 405), said) == (True, b""), (method, path)
    assert room.ask("POST", agreement.PATH, letter(news.Help(ID, ann, False)))[1] == b""


def test_another_key_is_told_nothing(board: Running) -> None:
    room = Room(board)
    with pytest.raises(pinned.OtherKey):
        pinned.connect(room.host, room.port, f"sha256//{'A' * 43}=", SOON)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[" * 100_000,
        b'{"sender": "", "news": {"type": "gone"}}',
        letter(news.Help(ID, "eve", True), ""),  # as if from this machine
        letter(news.Help(ID, "eve" * 100, True)),
        letter(news.Look(ID, "eve", [news.Found("three_nodes_ready", "passed", "x" * 1000)])),
        letter(news.Look(ID, "eve", [news.Found("three_nodes_ready", "passed")] * 1000)),
        letter(news.Help("<script>", "eve", True)),
        letter(news.Help("../../etc/passwd", "eve", True)),
        letter(news.Help(ID, "eve", True)).replace(b'"wanted"', b'"title":"<b>","wanted"'),
        letter(news.Help(ID, "eve", True)).replace(b"true", b"1e999"),
        letter(news.Look(ID, "eve", [news.Found("three_nodes_ready", "passed")])).replace(
            b'"passed"', b'"passed","points":1e9'
        ),
    ],
    ids=range(12),
)
def test_hostile_letters_change_nothing(board: Running, live: Live, ann: str, body: bytes) -> None:
    room = Room(board)
    assert room.send(body) in (204, 400)
    assert room.send(letter(news.Help(ID, ann, True))) == 204
    live.until(lambda: (ann, ID) in live.cells)
    assert [learner for learner, _ in live.cells if "eve" in learner] == []


def test_a_huge_one_is_not_even_read(board: Running, live: Live, ann: str) -> None:
    room = Room(board)
    with suppress(OSError, HTTPException):  # it hangs up
        assert room.send(b" " * 10_000_000) >= 400
    assert room.send(letter(news.Help(ID, ann, True))) == 204
    live.until(lambda: (ann, ID) in live.cells)


def test_a_flood_is_held_up(own_board: Running) -> None:
    room = Room(own_board)
    connection = pinned.connect(room.host, room.port, room.pin, SOON)
    answers = []
    while not answers or answers[-1] != 429:
        connection.request("POST", agreement.PATH, b"")
        answer = connection.getresponse()
        answer.read()
        answers.append(answer.status)
    connection.close()
    assert len(answers) >= 100  # a class that checks at once is no flood


# Who tells it


@pytest.mark.usefixtures("here")
def test_a_check_on_this_machine_shows(
    live: Live, ann: str, check: Callable[[str, int], Report]
) -> None:
    assert sharing.is_heard()
    progress.remember(check(ann, 2))
    live.until(lambda: live.points(ann))
    sharing.ask_for_help(LabName(ID, ann), True)
    live.until(lambda: live.cells[ann, ID]["help"])
    live.ask(learner=ann, exercise=ID)
    live.until(lambda: not live.cells[ann, ID]["help"])
    live.ask(learner=ann)
    live.until(lambda: (ann, "") in live.cells)
    files = [places.folder(), *places.folder().iterdir()]
    assert [each.name for each in files if each.stat().st_mode & 0o077] == []


@pytest.mark.usefixtures("here")
def test_everybody_at_once(live: Live, ann: str, check: Callable[[str, int], Report]) -> None:
    """As from a service that checks for all of them, in threads."""
    everybody = [f"{ann}-{number}" for number in range(100)]
    with ThreadPoolExecutor(20) as pool:
        [*pool.map(lambda name: sharing.tell(check(name, 5)), everybody)]
    live.until(lambda: all(live.points(name) for name in everybody))
    for name in everybody:
        live.ask(learner=name)


@pytest.mark.usefixtures("here")
def test_nothing_is_told_while_a_submission_is_graded(
    live: Live, ann: str, check: Callable[[str, int], Report], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(settings.GRADING, "1")
    assert not sharing.is_heard()
    sharing.tell(check("submission", 2))
    monkeypatch.delenv(settings.GRADING)
    sharing.tell(check(ann, 2))
    live.until(lambda: live.points(ann))
    assert live.points("submission") is None


@pytest.fixture
def panel(ann: str) -> CheckPanel:
    lab = Lab(None, load_exercise(ID), LabName(ID, ann))
    nobody = Engine(docker.DockerClient("tcp://127.0.0.1:9", version="1.41"))
    return CheckPanel(nobody, lab, Watcher(nobody, lab))


@pytest.mark.usefixtures("here")
def test_help_is_asked_for_in_the_panel(
    live: Live, ann: str, panel: CheckPanel, check: Callable[[str, int], Report]
) -> None:
    panel.take(check(ann, 2))
    assert (panel.heard, panel.asking) == (True, False)
    panel.clicked({"do": "help"})
    live.until(lambda: live.cells.get((ann, ID), {}).get("help"))
    panel.clicked({"do": "help"})
    live.until(lambda: not live.cells[ann, ID]["help"])
    panel.clicked({"do": "help"})
    assert panel.asking
    panel.take(check(ann, 15))
    assert not panel.asking


def test_nobody_is_asked_where_nobody_hears(
    panel: CheckPanel, check: Callable[[str, int], Report]
) -> None:
    panel.take(check("ann", 2))
    assert not panel.heard


def took(work: Callable[[], object]) -> float:
    began = perf_counter()
    work()
    return perf_counter() - began


def test_without_a_board_nothing_is_heard_and_nothing_waits(
    check: Callable[[str, int], Report], capfd: pytest.CaptureFixture[str]
) -> None:
    assert not sharing.is_heard()
    report = check("ann", 2)
    assert min(took(lambda: sharing.tell(report)) for _ in range(20)) < 0.05
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGSTOP])
def test_a_board_that_is_gone_keeps_nobody_waiting(
    own_board: Running,
    check: Callable[[str, int], Report],
    capfd: pytest.CaptureFixture[str],
    end: signal.Signals,
) -> None:
    own_board.process.send_signal(end)
    if end == signal.SIGKILL:
        own_board.process.wait()
        assert not sharing.is_heard()
    report = check("ann", 2)
    assert min(took(lambda: sharing.tell(report)) for _ in range(20)) < 0.05
    assert capfd.readouterr() == ("", "")
    own_board.process.send_signal(signal.SIGCONT)


@pytest.mark.usefixtures("here")
def test_the_second_board_of_an_installation_says_where_the_first_is(board: Running) -> None:
    done = CliRunner().invoke(main, ["board", "--port", "0"])
    assert done.exit_code == 1
    assert done.stderr == f"dockyard: A board of this installation runs already: {board.link}\n"


def test_a_port_that_is_taken_is_said_in_a_line(board: Running) -> None:
    port = board.link.split(":")[2].partition("/")[0]
    done = CliRunner().invoke(main, ["board", "--port", port])
    assert done.exit_code == 1
    assert f'Port "{port}" cannot be had (Address already in use)' in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_an_address_that_is_not_ours_is_said_in_a_line() -> None:
    done = CliRunner().invoke(main, ["board", "--address", "192.0.2.1"])
    assert done.exit_code == 1
    assert 'This machine has no address "192.0.2.1"' in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_one_that_was_killed_goes_on(
    own_board: Running, check: Callable[[str, int], Report]
) -> None:
    sharing.tell(check("ann", 4))
    wait_until(lambda: b'"ann"' in places.kept("class.json"), SOON)
    own_board.process.kill()
    own_board.process.wait()
    with running("--address", "127.0.0.1") as again:
        assert again.link.partition("?")[2] == own_board.link.partition("?")[2]
        assert again.address.partition("@")[2] == own_board.address.partition("@")[2]
        live = Live(again)
        assert live.points("ann")
        live.close()


# A machine that shares


def share(*arguments: str) -> str:
    done = CliRunner().invoke(main, ["share", *arguments])
    return done.stdout + done.stderr


def test_a_machine_shares_when_its_owner_agrees_and_until_he_ends_it(
    board: Running, live: Live, ann: str, check: Callable[[str, int], Report]
) -> None:
    progress.remember(check(f"{ann}-early", 1))
    assert share() == "You share with no board. `dockyard share ADDRESS` begins.\n"
    assert not sharing.is_heard()
    said = share(board.address)
    assert "Each check tells it your name" in said
    assert "`dockyard share --stop` ends it" in said
    assert share() == said
    assert sharing.is_heard()
    progress.remember(check(ann, 3))
    live.until(lambda: live.points(ann))
    assert live.points(f"{ann}-early") is None
    assert "It has forgotten you." in share("--stop")
    live.until(lambda: (ann, "") in live.cells)
    assert not sharing.is_heard()


def test_what_the_command_line_finds_is_sent_before_it_ends(
    board: Running, live: Live, ann: str
) -> None:
    share(board.address)
    tell = f"""
from dockyard.board import sharing
from dockyard.lab import Lab, LabName, free_ports
sharing.ask_for_help(LabName("{ID}", "{ann}"), True)
"""
    subprocess.run([sys.executable, "-c", tell], check=True)
    live.until(lambda: (ann, ID) in live.cells)


@pytest.mark.parametrize("address", ["192.0.2.1", "192.0.2.1:8445@sha256//short=", "--stop"])
def test_what_is_no_boards_address_is_said(address: str) -> None:
    assert "no board" in share(address)
    assert agreement.read() is None


def test_another_boards_pin_is_refused(board: Running) -> None:
    wrong = board.address.partition("@")[0] + f"@sha256//{'A' * 43}="
    assert "answers with another key" in share(wrong)
    assert agreement.read() is None


@pytest.mark.usefixtures("here")
def test_its_own_board_needs_no_sharing(board: Running) -> None:
    assert "hears without being told" in share(board.address)
    assert agreement.read() is None


def test_what_cannot_be_sent_now_is_sent_later(
    tmp_path: Path, check: Callable[[str, int], Report]
) -> None:
    """The presenter's machine was away for a while."""
    arguments = ["--address", "127.0.0.1", "--port", str(*free_ports(1))]
    there = tmp_path / "the board's"
    with running(*arguments, state=there) as board:
        pass
    assert "does not answer now" in share(board.address)
    waiting = post.Post()
    assert took(lambda: waiting.send(news.of_report(check("ann", 3)))) < 0.5
    wait_until(lambda: waiting.stuck, SOON)
    assert took(waiting.flush) < 0.5  # nor does a process that ends wait for it
    with running(*arguments, state=there):
        kept = there / "board" / "class.json"
        wait_until(lambda: kept.is_file() and b'"ann"' in kept.read_bytes(), 60)


# The page, in a real browser


@pytest.fixture(scope="module")
def full(
    tmp_path_factory: pytest.TempPathFactory, known: list[Criterion]
) -> Iterator[tuple[Running, Path]]:
    """A board with a hundred learners."""
    folder = tmp_path_factory.mktemp("full")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOCKYARD_STATE", str(folder))
        with running("--address", "127.0.0.1") as started:
            for number, name in enumerate(LEARNERS):
                sharing.tell(simulated(load_exercise(ID), known, name, number % len(known)))
            yield started, folder


@pytest.fixture
def page(
    browser: Browser, full: tuple[Running, Path], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Page]:
    monkeypatch.setenv("DOCKYARD_STATE", str(full[1]))
    context = browser.new_context(viewport={"width": 1600, "height": 1000})
    opened = context.new_page()
    amiss: list[str] = []
    opened.on("pageerror", lambda error: amiss.append(str(error)))
    opened.on("console", lambda line: line.type == "error" and amiss.append(line.text))
    opened.goto(full[0].link)
    expect(opened.locator("tbody tr")).to_have_count(len(LEARNERS))
    yield opened
    context.close()
    assert amiss == []


def cell(page: Page, learner: str) -> Locator:
    row = page.locator("tbody tr").filter(has=page.get_by_role("rowheader", name=learner))
    return row.get_by_role("button")


@pytest.mark.lab
def test_a_hundred_learners_change_and_each_is_seen_at_once(
    page: Page, check: Callable[[str, int], Report], known: list[Criterion]
) -> None:
    shown = board_shown(page, lambda name: sharing.tell(check(name, len(known))), LEARNERS)
    assert statistics.median(shown) < 1 * settings.patience()
    for name in (LEARNERS[0], LEARNERS[-1]):
        expect(cell(page, name)).to_have_text("✓ 27/27")
    shown = [
        board_shown(page, lambda name: sharing.tell(check(name, 3)), [name])[0]
        for name in LEARNERS[:20]
    ]
    assert statistics.median(shown) < 1 * settings.patience()
    expect(cell(page, LEARNERS[0])).to_have_accessible_name(re.compile(known[3].title))


@pytest.mark.lab
def test_what_was_expected_and_found_by_keyboard(
    page: Page, check: Callable[[str, int], Report]
) -> None:
    for name in LEARNERS[:3]:
        sharing.tell(check(name, 1))
        expect(cell(page, name)).to_have_accessible_name(re.compile("^[^:]*: [12] of 27"))
    page.get_by_role("button", name="Clear the board").focus()
    press = page.keyboard.press
    press("Tab")
    expect(cell(page, LEARNERS[0])).to_be_focused()
    for key in ("ArrowDown", "ArrowDown", "Enter"):
        press(key)
    details = page.get_by_role("complementary")
    expect(details.get_by_role("heading", name=LEARNERS[2])).to_be_focused()
    expect(details).to_contain_text("2 Ready, 1 Down (node3)")
    sharing.tell(check(LEARNERS[2], 15))  # it goes on while it is open
    expect(details).not_to_contain_text("2 Ready, 1 Down (node3)")
    press("Escape")
    expect(details).to_be_hidden()
    expect(cell(page, LEARNERS[2])).to_be_focused()


@pytest.mark.lab
def test_who_asks_for_help_is_heard_and_helped(page: Page) -> None:
    name = LabName(ID, LEARNERS[50])
    sharing.ask_for_help(name, True)
    expect(page.locator("[aria-live=polite]")).to_have_text(f"{name.learner} asks for help: {ID}.")
    expect(cell(page, name.learner)).to_have_accessible_name(re.compile("asks for help"))
    page.get_by_role("list").first.get_by_role("button", name=name.learner).click()
    page.get_by_role("button", name="Help is there").click()
    expect(cell(page, name.learner)).not_to_have_accessible_name(re.compile("asks for help"))
    expect(page.get_by_text("Nobody asks for help.")).to_be_visible()


@pytest.mark.lab
def test_what_the_room_sends_is_text(page: Page, full: tuple[Running, Path]) -> None:
    script = "<img src=x onerror=alert(1)>"
    found = news.Found("three_nodes_ready", "failed", script, "<script>alert(2)</script>")
    assert Room(full[0]).send(letter(news.Look(ID, script, [found]), "d" * 32)) == 204
    cell(page, script).click()
    details = page.get_by_role("complementary")
    expect(details).to_contain_text("<script>alert(2)</script>")
    assert page.locator("body img, body script").count() == 0
    details.get_by_role("button", name="Take off the board").click()
    expect(page.locator("tbody tr")).to_have_count(len(LEARNERS))


@pytest.mark.lab
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_finding_of_an_audit(page: Page, scheme: Literal["light", "dark"]) -> None:
    page.emulate_media(color_scheme=scheme)
    sharing.ask_for_help(LabName(ID, LEARNERS[1]), True)
    cell(page, LEARNERS[1]).click()
    expect(page.get_by_role("button", name="Help is there")).to_be_visible()
    found = Axe().run(page).response["violations"]
    assert [f"{each['help']}: {each['nodes'][0]['html'][:200]}" for each in found] == []
    page.get_by_role("button", name="Help is there").click()
    expect(page.get_by_text("Nobody asks for help.")).to_be_visible()


@pytest.mark.lab
def test_a_page_goes_on_when_its_board_is_started_again(
    browser: Browser, check: Callable[[str, int], Report]
) -> None:
    port = str(*free_ports(1))
    with running("--port", port) as first:
        sharing.tell(check("ann", 4))
        page = browser.new_page()
        page.goto(first.link)
        expect(page.locator("tbody tr")).to_have_count(1)
        wait_until(lambda: b'"ann"' in places.kept("class.json"), SOON)
    expect(page.get_by_role("alert")).to_contain_text("The board has ended")
    with running("--port", port):
        expect(page.get_by_role("alert")).to_be_hidden()
        sharing.tell(check("bob", 4))
        expect(page.locator("tbody tr")).to_have_count(2)
        page.on("dialog", lambda dialog: dialog.accept())
        page.get_by_role("button", name="Clear the board").click()
        expect(page.get_by_text("Nobody has checked anything yet.")).to_be_visible()
    page.close()
