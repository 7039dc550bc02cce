"""The check as a panel: looks by itself when something happens in the lab, and helps."""

from datetime import datetime
from pathlib import Path
from threading import Event, Lock, Thread
from time import monotonic
from typing import Any

import msgspec
import traitlets

from dockyard import hints, progress, report, timeline
from dockyard.errors import DockyardError, reason
from dockyard.keeper import Keeper
from dockyard.lab import Lab
from dockyard.picture.scene import Scene
from dockyard.picture.strip import Strip
from dockyard.report import CriterionResult, Report, Step
from dockyard.screen.watching import Listener, Watcher
from dockyard.screen.widget import WORDS, Widget, script

#: Seconds: in which a burst of events makes one check; and after a check, in which events may
#: still be its own doing.
BURST, ECHO = 0.1, 0.5


class CheckPanel(Widget):
    """The criteria of one exercise in one lab, for as long as its kernel lives.

    A check by itself is a gentle one: what it skips keeps the outcome that it had.

    Attributes:
        tasks: the exercise's, as id and title.
        report: as `dockyard check --json` prints it, or empty.
        earlier: ids of criteria whose outcome is of an earlier look → when that was.
        hint_cost: points that each hint costs.
        given: criterion → the last hint that was given.
        looked: when the last look was.
        note: why there is no report.
        busy: a check runs.
        step: which criterion of how many it has looked at, both 0 where none runs.
        automatic: whether to check by itself.
        heard: somebody would hear who asks for help.
        asking: help is asked for.
        strip: what happened, as a picture; drawn once somebody has asked for it.
        moments: the same as lines.
    """

    _esm = script("panel.js")
    tasks: Any = traitlets.List().tag(sync=True)
    report = traitlets.Dict().tag(sync=True)
    earlier = traitlets.Dict().tag(sync=True)
    hint_cost = traitlets.Float().tag(sync=True)
    given = traitlets.Dict().tag(sync=True)
    looked = traitlets.Unicode().tag(sync=True)
    note = traitlets.Unicode().tag(sync=True)
    busy = traitlets.Bool().tag(sync=True)
    step: Any = traitlets.List([0, 0]).tag(sync=True)
    automatic = traitlets.Bool(True).tag(sync=True)
    heard = traitlets.Bool().tag(sync=True)
    asking = traitlets.Bool().tag(sync=True)
    strip = traitlets.Unicode().tag(sync=True)
    moments: Any = traitlets.List().tag(sync=True)
    words = traitlets.Dict(WORDS["panel"]).tag(sync=True)

    def __init__(self, keeper: Keeper, lab: Lab, watcher: Watcher) -> None:
        tasks = [[task.id, task.title] for task in lab.exercise.tasks]
        super().__init__(tasks=tasks, hint_cost=lab.exercise.hint_cost)
        self._exercise, self._lab_name = lab.exercise, lab.name
        self._keeper, self._watcher = keeper, watcher
        self._last: Report | None = None
        self._judged: Scene | None = None
        self._ended = 0.0
        self._asked, self._pressed = Event(), Event()
        self._hinting = Lock()
        watcher.add(Listener(self._seen, self._happened, self.take))
        Thread(target=self._work, daemon=True).start()

    def _happened(self) -> None:
        if self.automatic and not self.busy and monotonic() - self._ended > ECHO:
            self._asked.set()

    def _seen(self, scene: Scene) -> None:
        """What changes while a check runs is the check's doing, or it is there afterwards."""
        if self.automatic and not self.busy and self._judged and scene != self._judged:
            self._asked.set()

    def clicked(self, asked: dict[str, Any]) -> None:
        if "hello" in asked:
            self.heard = self._keeper.is_heard()
            self._watcher.start()
            self._asked.set()
        if asked.get("do") == "check":
            self._pressed.set()
            self._asked.set()
        if asked.get("do") == "hint":
            self._hint(str(asked.get("criterion")))
        if asked.get("do") == "help":
            self._help(not self.asking)
        if asked.get("do") == "look-back":
            self._look_back()

    def _help(self, wanted: bool) -> None:
        try:
            self._keeper.ask_for_help(self._lab_name, wanted)
            self.asking = wanted
        except DockyardError as error:
            self.note = str(error)

    def _look_back(self) -> None:
        criteria = self._last.criteria if self._last else []
        moments = timeline.read(timeline.path_of(self._lab_name))
        strip = Strip(moments, {each.id: each.title for each in criteria})
        with self.hold_sync():
            self.strip, self.moments = strip.draw(), strip.lines()

    def _hint(self, criterion: str) -> None:
        known = self._last.criteria if self._last else []
        with self._hinting:
            for each in known:
                if each.id == criterion:
                    text = hints.step(self._exercise, self._lab_name.learner, each)
                    self.given = {**self.given, criterion: text}

    def _work(self) -> None:
        """One check after the other, never two at once."""
        while True:
            self._asked.wait()
            whole = self._pressed.wait(BURST)
            self._asked.clear()
            self._pressed.clear()
            self._judged = self._watcher.scene
            self.busy = True
            try:
                found = self._keeper.check(
                    self._exercise, self._lab_name.learner, gently=not whole, tell=self.show_step
                )
                progress.remember(found)
                self._watcher.judged(found)
                timeline.hand_in(self._lab_name, Path.cwd())
                if self.strip:
                    self._look_back()
            except Exception as error:  # a panel that looks no more would say nothing of it
                self.note = reason(error)
            finally:
                self._ended = monotonic()
                self.busy, self.step = False, [0, 0]
            if self._watcher.scene and not whole:
                self._seen(self._watcher.scene)

    def take(self, found: Report) -> None:
        """Show a report; criteria that it skips, or leaves out, keep the outcome that they had."""
        now = datetime.now().strftime("%H:%M:%S")
        before = {each.id: each for each in self._last.criteria} if self._last else {}
        criteria, kept = report.merged(before, found)
        earlier = {id_: self.earlier.get(id_, self.looked) for id_ in criteria if id_ in kept}
        self._show(criteria, found.seconds)
        with self.hold_sync():
            self.earlier, self.looked, self.note = earlier, now, ""
            self.heard = self._keeper.is_heard()
            if self._last and self._last.passed:
                self.asking = False  # as on the board

    def show_step(self, step: Step) -> None:
        """Show a criterion as soon as it was looked at: the others may take seconds."""
        before = {each.id: each for each in self._last.criteria} if self._last else {}
        one = step.result
        with self.hold_sync():
            self.step = [step.number, step.of]
            if not one.skipped:
                self.earlier = {id_: when for id_, when in self.earlier.items() if id_ != one.id}
                self._show({**before, one.id: one}, 0)

    def _show(self, criteria: dict[str, CriterionResult], seconds: float) -> None:
        name = self._lab_name
        self._last = report.make(name.exercise, name.learner, [*criteria.values()], seconds)
        unmet = {each.id for each in criteria.values() if each.outcome == "failed"}
        with self.hold_sync():
            self.given = {id_: text for id_, text in self.given.items() if id_ in unmet}
            self.report = msgspec.to_builtins(self._last)

    def instead(self) -> dict[str, str]:
        """The last look, as a page and as text."""
        if self._last is None:
            return {"text/plain": WORDS["panel"]["never"]}
        return {"text/plain": report.to_text(self._last), "text/html": report.to_html(self._last)}
