"""The learner's screen in a real browser: clicked and typed at, as a person would."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import docker
import pytest
from axe_playwright_python.sync_playwright import Axe
from pages import Notebook, solution
from playwright.sync_api import Browser, expect

from bench.board import running
from bench.browser import Site, jupyterlab
from conftest import PREFIX
from dockyard import lifecycle, settings
from dockyard.course import load_exercise
from dockyard.lab import Lab, all_names, find

# Together, for they share JupyterLab and a browser.
pytestmark = [pytest.mark.lab, pytest.mark.xdist_group("screen")]

LEARNER = f"{PREFIX}screen"
ID, DEBIAN = "02_clustering", "dockyard/debian:1"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, outer: docker.DockerClient) -> Iterator[Site]:
    with jupyterlab(tmp_path_factory.mktemp("kit") / "course", LEARNER) as site:
        yield site
    for name in all_names(outer, LEARNER):
        lifecycle.down(outer, name)


@pytest.fixture
def open_notebook(
    browser: Browser, site: Site, outer: docker.DockerClient
) -> Iterator[Callable[[str], Notebook]]:
    """Opens an exercise on a fresh lab, and runs its first cells."""
    pages = []

    def open_it(exercise_id: str) -> Notebook:
        lifecycle.up(outer, load_exercise(exercise_id), LEARNER)
        lifecycle.reset(outer, load_exercise(exercise_id), LEARNER)
        pages.append(browser.new_context(viewport={"width": 1400, "height": 1500}).new_page())
        notebook = Notebook(pages[-1], site, exercise_id)
        notebook.run("open-the-lab")
        notebook.run("panel")
        expect(notebook.panel.locator(".dy-total")).to_contain_text(re.compile(r"^0 of \d+ points"))
        return notebook

    yield open_it
    for page in pages:
        for session in page.request.get(site.url("api/sessions")).json():
            page.request.delete(site.url(f"api/sessions/{session['id']}"))
        page.context.close()


@pytest.fixture
def notebook(open_notebook: Callable[[str], Notebook]) -> Notebook:
    return open_notebook(ID)


@pytest.fixture
def lab(notebook: Notebook, outer: docker.DockerClient) -> Lab:  # noqa: ARG001 (it made the lab)
    return find(outer, load_exercise(ID), LEARNER)


def test_red_turns_green_by_itself(notebook: Notebook) -> None:
    first = notebook.criterion("The swarm has three nodes, all Ready")
    expect(first).to_contain_text("not yet")
    expect(first).to_contain_text("3 nodes, Ready")
    notebook.run("form-the-swarm", solution(ID, "form-the-swarm"))
    expect(first).to_contain_text("passed")
    expect(notebook.criterion("One node is the manager")).to_contain_text("passed")
    expect(notebook.panel.locator(".dy-total")).to_have_text("3 of 27 points")
    expect(notebook.thing("node1, manager, leader")).to_be_visible()


def test_a_task_of_another_exercise(open_notebook: Callable[[str], Notebook]) -> None:
    notebook = open_notebook("06_logging")
    task = load_exercise("06_logging").tasks[0]
    notebook.run(task.id, solution("06_logging", task.id))
    heading = notebook.panel.get_by_role("heading", name=task.title)
    expect(heading).to_have_text(re.compile(r"\((\d)/\1\)"))


def test_what_happened_can_be_looked_back_on(notebook: Notebook, lab: Lab) -> None:
    notebook.run("form-the-swarm", solution(ID, "form-the-swarm"))
    expect(notebook.criterion("The swarm has three nodes")).to_contain_text("passed")
    lab.client("node1").containers.run(DEBIAN, ["false"], name="mine", detach=True)
    back = notebook.panel.page.locator(".dy-back")
    back.get_by_text("What happened, and when").click()
    turned = back.locator("svg title", has_text="true: The swarm has three nodes")
    expect(turned.last).to_be_attached()
    back.get_by_text("The same as a list").click()
    expect(back.locator("li", has_text="container mine ended (1)").first).to_be_visible()


def test_a_service_is_looked_at_closer(notebook: Notebook, lab: Lab) -> None:
    client = lab.client("node1")
    client.swarm.init()
    client.services.create(DEBIAN, ["sh", "-c", "echo hello; sleep 600"], name="vote")
    notebook.thing("service vote 1 of 1").click()
    details = notebook.view.locator(".dy-details")
    expect(details).to_contain_text("running on node1")
    expect(details.locator(".dy-criteria")).to_contain_text(
        "waits: vote runs one replica on each of the three hosts"
    )
    expect(notebook.view.locator("svg")).to_contain_text("criteria met")


def test_what_a_cell_checks_shows_in_the_panel(notebook: Notebook) -> None:
    notebook.panel.get_by_role("checkbox").uncheck()
    notebook.run(
        "form-the-swarm", f"{solution(ID, 'form-the-swarm')}\ncheck('{ID}', 'form-the-swarm')"
    )
    expect(notebook.panel.locator(".dy-total")).to_have_text("3 of 27 points")


def test_hints_come_one_at_a_time(notebook: Notebook) -> None:
    button = notebook.page.get_by_role("button", name="Hint for: The swarm has three nodes")
    hint = notebook.panel.locator(".dy-hint")
    button.click()
    expect(hint).to_contain_text("hint 1 of")
    button.click()
    expect(hint).to_contain_text("hint 2 of")


def test_help_is_asked_for_where_a_board_hears_it(notebook: Notebook, browser: Browser) -> None:
    asks = notebook.panel.get_by_role("button", name="Ask for help")
    expect(asks).to_be_hidden()
    with running() as board:
        page = browser.new_page()
        page.goto(board.link)
        notebook.panel.get_by_role("button", name="Check", exact=True).click()
        asks.click()
        queue = page.locator("#queue")
        expect(queue).to_contain_text(LEARNER)
        notebook.panel.get_by_role("button", name="Help was asked for").click()
        expect(queue).not_to_contain_text(LEARNER)
        page.get_by_role("button", name=f"{LEARNER}, {ID}").click()
        page.get_by_role("button", name="Take off the board").click()
        page.close()


def test_a_container_is_killed_and_replaced(notebook: Notebook, lab: Lab) -> None:
    client = lab.client("node1")
    client.swarm.init()
    client.services.create(DEBIAN, ["sleep", "600"], name="web")
    notebook.thing("web.1 on node1, running").click()
    details = notebook.view.locator(".dy-details")
    expect(details).to_contain_text("sleep 600")
    details.get_by_role("button", name="Kill").click()
    expect(details.get_by_text("exited (137)")).to_be_visible()
    expect(notebook.thing("web.1 on node1, exited (137)")).to_be_visible()
    expect(notebook.thing("web.1 on node1, running")).to_be_visible()


def test_a_host_is_stopped_and_comes_back(notebook: Notebook) -> None:
    notebook.thing("node2").click()
    details = notebook.view.locator(".dy-details")
    details.get_by_role("button", name="Stop this host").click()
    expect(notebook.unanswering()).to_be_visible()
    details.get_by_role("button", name="Start it").click()
    expect(notebook.unanswering()).to_have_count(0)


def test_a_host_is_cut_off_and_heals(notebook: Notebook) -> None:
    notebook.run("form-the-swarm", solution(ID, "form-the-swarm"))
    notebook.thing("node3, worker").click()
    details = notebook.view.locator(".dy-details")
    details.get_by_role("button", name="Cut it off").click()
    expect(notebook.thing("node3, worker, down")).to_be_visible(timeout=60_000)
    details.get_by_role("button", name="Put it back").click()
    expect(notebook.thing("node3, worker, down")).to_have_count(0, timeout=120_000)


def test_starting_over_asks_once(notebook: Notebook, lab: Lab) -> None:
    client = lab.client("node1")
    client.containers.run(DEBIAN, ["sleep", "600"], name="mine", detach=True)
    expect(notebook.thing("mine on node1")).to_be_visible()
    notebook.view.get_by_role("button", name="Start over").click()
    expect(notebook.view.get_by_text("Everything on node1, node2, node3 goes")).to_be_visible()
    notebook.view.get_by_role("button", name="No, keep it").click()
    expect(notebook.thing("mine on node1")).to_be_visible()
    notebook.view.get_by_role("button", name="Start over").click()
    notebook.view.get_by_role("button", name="Yes, start over").click()
    expect(notebook.view.get_by_text("Back at the start. Removed")).to_be_visible()
    expect(notebook.thing("mine on node1")).to_have_count(0)
    expect(notebook.unanswering()).to_have_count(0)


def test_it_answers_while_a_cell_runs(notebook: Notebook, lab: Lab) -> None:
    notebook.run("form-the-swarm", "import threading\nthreading.Event().wait()")
    expect(notebook.page.get_by_text("(ipykernel) | Busy")).to_be_visible()
    client = lab.client("node1")
    client.containers.run(DEBIAN, ["sleep", "600"], name="meanwhile", detach=True)
    notebook.thing("meanwhile on node1, running").click()
    expect(notebook.view.locator(".dy-details")).to_contain_text("sleep 600")
    check = notebook.panel.get_by_role("button", name="Check", exact=True)
    check.click()
    expect(check).to_be_enabled()
    expect(notebook.cell("form-the-swarm").locator(".jp-InputPrompt")).to_have_text("[*]:")


def test_a_kernel_that_is_restarted_is_said(notebook: Notebook) -> None:
    notebook.page.keyboard.press("Escape")
    notebook.page.keyboard.press("0")
    notebook.page.keyboard.press("0")
    notebook.page.get_by_role("button", name="Confirm Kernel Restart").click()
    expect(notebook.view).to_contain_text("run the cell with open_lab again")
    notebook.run("open-the-lab")
    expect(notebook.view).not_to_contain_text("run the cell with open_lab again")
    expect(notebook.thing("node1")).to_be_visible()


def test_a_page_that_is_opened_without_its_kernel_says_what_to_do(
    notebook: Notebook, site: Site
) -> None:
    notebook.page.keyboard.press("Control+S")
    expect(notebook.page.get_by_text("Saving completed")).to_be_visible()
    for session in notebook.page.request.get(site.url("api/sessions")).json():
        notebook.page.request.delete(site.url(f"api/sessions/{session['id']}"))
    notebook.page.reload()
    lost = notebook.page.get_by_text("model not found").first
    expect(lost).to_be_visible()
    said = lost.evaluate("each => getComputedStyle(each, '::after').content")
    assert "Run the cell with open_lab again" in said


def test_a_reset_elsewhere_is_followed(
    notebook: Notebook, lab: Lab, outer: docker.DockerClient
) -> None:
    run = lab.client("node1").containers.run
    run(DEBIAN, ["sleep", "600"], name="mine", detach=True)
    expect(notebook.thing("mine on node1")).to_be_visible()
    lifecycle.reset(outer, lab.exercise, LEARNER)
    expect(notebook.thing("mine on node1")).to_have_count(0)
    expect(notebook.unanswering()).to_have_count(0)
    run(DEBIAN, ["sleep", "600"], name="again", detach=True)
    expect(notebook.thing("again on node1, running")).to_be_visible()


def test_a_lab_that_is_gone_is_said(
    notebook: Notebook, lab: Lab, outer: docker.DockerClient
) -> None:
    lifecycle.down(outer, lab.name)
    expect(notebook.view).to_contain_text("Run the cell with open_lab again")
    notebook.run("open-the-lab")
    expect(notebook.view).not_to_contain_text("Run the cell with open_lab again")
    expect(notebook.thing("node1")).to_be_visible()


def test_two_tabs_show_one_lab(notebook: Notebook, lab: Lab, site: Site) -> None:
    other = Notebook(notebook.page.context.new_page(), site, ID)
    other.run("open-the-lab")
    client = lab.client("node1")
    client.containers.run(DEBIAN, ["sleep", "600"], name="mine", detach=True)
    for tab in (notebook, other):
        expect(tab.thing("mine on node1, running")).to_be_visible()


def test_all_of_it_by_keyboard(notebook: Notebook, lab: Lab) -> None:
    client = lab.client("node1")
    client.containers.run(DEBIAN, ["sleep", "600"], name="mine", detach=True)
    expect(notebook.thing("mine on node1")).to_be_visible()
    notebook.view.get_by_role("button", name="Start over").focus()
    press = notebook.page.keyboard.press
    for key in ("Tab", "Tab", "Enter"):  # node1, its container
        press(key)
    details = notebook.view.locator(".dy-details")
    expect(details).to_contain_text("mine on node1")
    press("Escape")
    expect(details).to_be_hidden()
    expect(notebook.thing("mine on node1")).to_be_focused()
    before = notebook.view.locator("svg").bounding_box()
    press("+")
    after = notebook.view.locator("svg").bounding_box()
    assert before
    assert after
    assert after["width"] > before["width"]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_no_serious_finding_of_an_audit(notebook: Notebook, theme: str) -> None:
    notebook.thing("node1").click()
    expect(notebook.view.locator(".dy-details dl")).to_be_visible()
    name = {"light": "JupyterLab Light", "dark": "JupyterLab Dark"}[theme]
    notebook.page.evaluate(
        "name => window.jupyterapp.commands.execute('apputils:change-theme', {theme: name})", name
    )
    expect(notebook.page.locator(f'[data-jp-theme-name="{name}"]')).to_be_attached()
    found = Axe().run(notebook.page, context=".dockyard").response["violations"]
    serious = [each for each in found if each["impact"] in ("serious", "critical")]
    assert [_said(each) for each in serious] == []
    sizes = notebook.page.evaluate(
        """[...document.querySelectorAll(".dockyard *")].map(
             each => parseFloat(getComputedStyle(each).fontSize))"""
    )
    assert min(sizes) >= 12


def _said(violation: dict[str, Any]) -> str:
    return f"{violation['help']}: {[node['html'][:200] for node in violation['nodes'][:3]]}"


def test_nothing_is_asked_of_the_internet(notebook: Notebook) -> None:
    asked = notebook.page.evaluate(
        "performance.getEntriesByType('resource').map(each => each.name)"
    )
    own = notebook.page.url.split("/lab/")[0]
    assert [url for url in asked if not url.startswith((own, "data:", "blob:"))] == []


def test_the_kit_has_the_panel() -> None:
    for exercise in Path(settings.course_dir(), "exercises").glob("*/*.ipynb"):
        assert '"lab.panel()"' in exercise.read_text()
