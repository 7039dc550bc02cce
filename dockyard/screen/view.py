"""The lab as a live picture: hosts, what runs on them, and buttons to break and mend it."""

import re
from collections import defaultdict
from typing import Any

import msgspec
import traitlets
from docker.errors import DockerException

from dockyard import picture
from dockyard.errors import DockyardError, reason
from dockyard.keeper import Keeper
from dockyard.lab import Lab
from dockyard.picture.drawing import COLUMNS, GAP, HOST
from dockyard.picture.scene import Scene, spoken
from dockyard.picture.shapes import MARGIN
from dockyard.report import CriterionResult, Report
from dockyard.screen.acting import Thing, act
from dockyard.screen.details import details
from dockyard.screen.watching import Listener, Watcher
from dockyard.screen.widget import WORDS, Widget, script


class LabView(Widget):
    """A lab's picture, for as long as its kernel lives; several may show one lab.

    Attributes:
        svg: the picture.
        news: what has changed with it, in words, for those who hear it.
        links: host → published port → where a browser finds it.
        columns: how many hosts the page has room for, side by side; pages tell.
        sizes: of the picture's parts, in pixels, for pages to know.
    """

    _esm = script("view.js")
    svg = traitlets.Unicode().tag(sync=True)
    news = traitlets.Unicode().tag(sync=True)
    links = traitlets.Dict().tag(sync=True)
    columns = traitlets.Int(COLUMNS).tag(sync=True)
    sizes = traitlets.Dict({"host": HOST, "gap": GAP, "margin": MARGIN}).tag(sync=True)
    words = traitlets.Dict(WORDS["view"]).tag(sync=True)

    def __init__(self, keeper: Keeper, lab: Lab, watcher: Watcher) -> None:
        links = {
            host: {str(p): lab.url(host, p) for p in lab.exercise.lab.ports} for host in lab.hosts
        }
        super().__init__(links=links)
        self._scene = Scene([])
        self._keeper, self._lab = keeper, lab
        self._watcher = watcher
        self._criteria: dict[str, CriterionResult] = {}
        #: Word → criteria whose sentences speak of what is called so.
        self._about: dict[str, list[CriterionResult]] = {}
        watcher.add(Listener(show=self._show, judged=self._judged))

    def _show(self, scene: Scene) -> None:
        before, self._scene = self._scene, scene
        with self.hold_sync():
            self.news = _news(before, scene)
            self._draw()

    def _judged(self, report: Report) -> None:
        self._criteria |= {each.id: each for each in report.criteria if not each.skipped}
        about = defaultdict[str, list[CriterionResult]](list)
        for each in self._criteria.values():
            for word in set(re.findall(r"[\w-]+", each.title)):
                about[word].append(each)
        self._about = about  # at once: another thread may be drawing
        self._draw()

    @traitlets.observe("columns")
    def _draw(self, _: object = None) -> None:
        verdicts = {word: [each.outcome for each in about] for word, about in self._about.items()}
        self.svg = picture.draw(self._scene, max(self.columns, 1), verdicts)

    def clicked(self, asked: dict[str, Any]) -> None:
        """What goes wrong is said in one line, where it was clicked."""
        try:
            if "hello" in asked:
                self._watcher.start()
            else:
                self.send(self._answer(asked))
        except (DockyardError, DockerException, OSError) as error:
            self.send({"said": reason(error)})

    def _answer(self, asked: dict[str, Any]) -> dict[str, Any]:
        if asked.get("act") == "start-over":
            _, went = self._keeper.reset(self._lab.exercise, self._lab.name.learner)
            return {"said": WORDS["view"]["started_over"].format(went=went)}
        thing = msgspec.convert(asked, Thing)
        if action := asked.get("act"):
            act(self._keeper, self._lab, str(action), thing)
            self._watcher.touch()
        said = details(self._keeper, self._lab, thing)
        criteria = [(each.outcome, each.title) for each in self._about.get(spoken(said.name), [])]
        return {"details": msgspec.to_builtins(said) | {"criteria": criteria}}

    def instead(self) -> dict[str, str]:
        """The picture as it is now, and in words."""
        scene = picture.look(self._lab)
        if not self._scene.hosts:
            self._show(scene)
        return {"text/plain": picture.describe(scene), "text/html": picture.as_image(scene)}


def _news(before: Scene, now: Scene) -> str:
    """What has changed, in words; and what to do when all is gone."""
    if not any(host.answers for host in now.hosts):
        return WORDS["view"]["gone"]
    known = picture.describe(before).splitlines() if before.hosts else None
    lines = picture.describe(now).splitlines()
    return "; ".join(line for line in lines if line not in known) if known else ""
