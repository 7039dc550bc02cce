"""The lab as a live picture: hosts, what runs on them, and buttons to break and mend it."""

from typing import Any

import docker
import msgspec
import traitlets
from docker.errors import DockerException

from dockyard import lifecycle, picture
from dockyard.errors import DockyardError, reason
from dockyard.lab import Lab
from dockyard.picture.drawing import COLUMNS, GAP, HOST
from dockyard.picture.scene import Scene
from dockyard.picture.shapes import MARGIN
from dockyard.screen.acting import Actor
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

    def __init__(self, outer: docker.DockerClient, lab: Lab, watcher: Watcher) -> None:
        links = {
            host: {str(p): lab.url(host, p) for p in lab.exercise.lab.ports} for host in lab.hosts
        }
        super().__init__(links=links)
        self._scene = Scene([])
        self._outer, self._lab = outer, lab
        self._actor = Actor(outer, lab)
        self._watcher = watcher
        watcher.add(Listener(show=self._show))

    def _show(self, scene: Scene) -> None:
        before, self._scene = self._scene, scene
        with self.hold_sync():
            self.news = _news(before, scene)
            self._draw()

    @traitlets.observe("columns")
    def _draw(self, _: object = None) -> None:
        self.svg = picture.draw(self._scene, max(self.columns, 1))

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
            _, went = lifecycle.reset(self._outer, self._lab.exercise, self._lab.name.learner)
            return {"said": WORDS["view"]["started_over"].format(went=went)}
        host, container = str(asked["host"]), str(asked.get("container") or "")
        if action := asked.get("act"):
            self._actor.act(str(action), host, container)
            self._watcher.touch()
        return {"details": msgspec.to_builtins(self._actor.details(host, container))}

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
