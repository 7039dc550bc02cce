"""An exercise's notebook in a real browser, for the tests of the screen and of the hub."""

from typing import Protocol

from playwright.sync_api import Locator, Page, expect

from dockyard import settings
from dockyard.course import load_exercise
from dockyard.solution import cells

expect.set_options(timeout=60_000 * settings.patience())


class Server(Protocol):
    """A JupyterLab that runs."""

    def url(self, path: str) -> str:
        """Where a browser that may come in finds *path*."""


class Notebook:
    """An exercise's notebook on a page of its own."""

    def __init__(self, page: Page, site: Server, exercise_id: str) -> None:
        self.page = page
        self.view, self.panel = page.locator(".dockyard").first, page.locator(".dy-panel")
        path = f"work/{exercise_id}/{exercise_id}.ipynb"
        page.goto(site.url(f"lab/tree/{path}?reset"))
        expect(page.get_by_text("(ipykernel) | Idle")).to_be_visible()
        source = page.request.get(site.url(f"api/contents/{path}")).json()
        self._cells = [cell["id"] for cell in source["content"]["cells"]]

    def cell(self, cell_id: str) -> Locator:
        return self.page.locator(
            f'.jp-Cell[data-windowed-list-index="{self._cells.index(cell_id)}"]'
        )

    def run(self, cell_id: str, source: str = "") -> None:
        """Run a cell; with source, write that into it first."""
        editor = self.cell(cell_id).locator(".cm-content")
        editor.click()
        if source:
            self.page.keyboard.press("Control+A")
            self.page.keyboard.insert_text(source)
        self.page.keyboard.press("Shift+Enter")

    def criterion(self, title: str) -> Locator:
        sentence = self.page.locator(".dy-sentence", has_text=title)
        return self.panel.locator("li").filter(has=sentence)

    def unanswering(self) -> Locator:
        """Where the picture says that a host does not answer."""
        return self.view.locator("svg text", has_text="does not answer")

    def thing(self, label: str) -> Locator:
        """A host, a container or a port in the picture."""
        return self.view.locator(f'svg [aria-label^="{label}"]')


def solution(exercise_id: str, task: str) -> str:
    return dict(cells(load_exercise(exercise_id)))[task]
