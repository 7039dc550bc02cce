"""A room is reset: who is new, who is told why not, and what of others stays as it was."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import docker
import pytest
from docker.errors import APIError, NotFound
from toy_course import RUN, RUN_WEB, TOY_TOML, make_toy_course, toy

from dockyard import checker, embedded, engine, lifecycle, seed, settings
from dockyard.course import Exercise, load_exercise
from dockyard.errors import LabError, UnknownName
from dockyard.lab import LabName, all_names, containers, find
from dockyard.waiting import wait_until

pytestmark = pytest.mark.lab

ID = "00_toy"
MakeStrangers = Callable[[docker.DockerClient], dict[str, Any]]


@pytest.fixture(scope="module")
def room(
    outer: docker.DockerClient, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[pytest.MonkeyPatch]:
    """An installation of its own on the same engine: "everyone" is nobody else's learner.

    Its course has two exercises of one host, "00_toy" and "01_toy".
    """
    folder = tmp_path_factory.mktemp("room")
    make_toy_course(folder)
    one = folder / "exercises" / ID
    with (one / "exercise.toml").open("w") as plan:
        plan.write(TOY_TOML.replace('"vote", "redis", "worker", "postgres", "result"', ""))
    (one / f"{ID}.ipynb").write_text(solution(RUN))
    another = folder / "exercises" / "01_toy"
    another.mkdir()
    (another / "exercise.toml").write_text((one / "exercise.toml").read_text())
    address = engine.find().url
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOCKYARD_ENGINE_HOST", address)
        patch.setenv("DOCKYARD_COURSE", str(folder))
        patch.setenv("DOCKYARD_STATE", str(folder / "state"))
        checker.stop()  # one that looks at another installation's labs
        yield patch
        for name in all_names(outer):
            lifecycle.down(outer, name)
        seed.remove_all(outer)
        checker.stop()


@pytest.fixture
def exercise(outer: docker.DockerClient, room: pytest.MonkeyPatch) -> Iterator[Exercise]:
    """The room's first exercise; nobody has a lab, before and after."""
    assert room
    yield load_exercise(ID)
    for name in all_names(outer):
        lifecycle.down(outer, name)


def solution(run_it: str) -> str:
    """A notebook whose solution of the first task is *run_it*."""
    return json.dumps(toy(f"### BEGIN SOLUTION\n{run_it}\n### END SOLUTION", RUN_WEB))


def dockyard(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "dockyard", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def ids(outer: docker.DockerClient, name: LabName) -> list[str]:
    return [str(each.id) for each in containers(outer, name).values()]


def test_everyones_labs_are_removed(outer: docker.DockerClient, exercise: Exercise) -> None:
    names = [LabName(exercise.id, "ada"), LabName(ID, "bob"), LabName("01_toy", "ada")]
    for name in names:
        lifecycle.up(outer, load_exercise(name.exercise), name.learner)
    done = dockyard("reset", "--all")
    assert done.returncode == 0, done.stderr
    for name in names:
        assert f'Removed "{name.label}": 1 host, 1 volume, 1 network, in ' in done.stdout
    assert "Nothing else was touched. It took " in done.stdout
    assert all_names(outer) == []
    assert dockyard("reset", "--all").stdout == "Already clean.\n"


def test_everyones_lab_of_one_exercise_is_new(
    outer: docker.DockerClient, exercise: Exercise
) -> None:
    ada, bob, other = LabName(ID, "ada"), LabName(ID, "bob"), LabName("01_toy", "ada")
    labs = {name: lifecycle.up(outer, load_exercise(name.exercise), name.learner)
            for name in (ada, bob, other)}  # fmt: skip
    before = {name: ids(outer, name) for name in labs}
    done = dockyard("reset", ID, "--all", "--json")
    assert done.returncode == 0, done.stderr
    rows = {row["lab"]: row for row in json.loads(done.stdout)}
    assert set(rows) == {ada.label, bob.label}
    assert all((row["hosts"], row["error"]) == (1, "") for row in rows.values())
    assert all(row["seconds"] > 0 for row in rows.values())
    for name in (ada, bob):
        assert set(ids(outer, name)).isdisjoint(before[name])
        assert find(outer, exercise, name.learner).ports == labs[name].ports
    assert ids(outer, other) == before[other]
    again = dockyard("reset", ID, "--all")
    assert (again.returncode, again.stdout.count("1 host")) == (0, 2)


def test_a_room_is_brought_to_where_the_class_is(
    outer: docker.DockerClient, exercise: Exercise
) -> None:
    first, second = exercise.tasks
    for learner in ("ada", "bob"):
        lifecycle.up(outer, exercise, learner)
    done = dockyard("reset", ID, "--all", "--to", first.id)
    assert done.returncode == 0, done.stderr
    for learner in ("ada", "bob"):
        assert f"{learner}: Solving: {first.title}" in done.stderr
        assert checker.check(exercise, learner, first.id).passed
        assert not checker.check(exercise, learner, second.id).passed


def test_one_that_fails_does_not_stop_the_others(
    outer: docker.DockerClient, exercise: Exercise
) -> None:
    for learner in ("ada", "bob", "cy"):
        lifecycle.up(outer, exercise, learner)
    source = exercise.notebook.read_text()
    bobs_alone = 'import os\nassert os.environ["JUPYTERHUB_USER"] != "bob"'
    exercise.notebook.write_text(solution(f"{bobs_alone}\n{RUN}"))
    try:
        done = dockyard("reset", ID, "--all", "--to", "run-it")
    finally:
        exercise.notebook.write_text(source)
    assert done.returncode == 2
    assert done.stdout.count("Removed") == 2
    assert f'Not reset: "{ID}/bob", after ' in done.stderr
    assert "AssertionError" in done.stderr
    assert done.stderr.splitlines()[-1] == (
        f'dockyard: 1 of 3 labs not reset: "{ID}/bob". Why, stands above.'
    )
    assert all(checker.check(exercise, each, "run-it").passed for each in ("ada", "cy"))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--all", "--learner", "ada"], "--all means everyone"),
        ([ID, "--all", "--learner", "ada"], "--all means everyone"),
        ([ID, "--all", "--files"], "--files goes without --all"),
        (["--all", "--to", "run-it"], "Name an exercise"),
        ([ID, "--all", "--to", "no-task"], 'no task "no-task"'),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(
    outer: docker.DockerClient, exercise: Exercise, arguments: list[str], says: str
) -> None:
    lab = lifecycle.up(outer, exercise, "ada")
    before = ids(outer, lab.name)
    done = dockyard("reset", *arguments)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (1, "", 1)
    assert says in done.stderr
    assert ids(outer, lab.name) == before


def test_nobody_has_a_lab(outer: docker.DockerClient, exercise: Exercise) -> None:
    done = dockyard("reset", exercise.id, "--all")
    assert (done.returncode, done.stdout) == (0, "Already clean.\n")
    assert all_names(outer) == []


def test_no_more_labs_than_one_may_have(
    outer: docker.DockerClient, exercise: Exercise, room: pytest.MonkeyPatch
) -> None:
    with room.context() as patch:
        patch.setenv("DOCKYARD_LABS_EACH", "1")
        lifecycle.up(outer, exercise, "ada")
        lifecycle.up(outer, exercise, "ada")  # the same one
        lifecycle.reset(outer, exercise, "ada")
        lifecycle.up(outer, exercise, "bob")
        other = load_exercise("01_toy")
        with pytest.raises(LabError) as caught:
            lifecycle.up(outer, other, "ada")
        assert '"ada" has 1 lab (00_toy), and may have 1 at once' in str(caught.value)
        ends = str(caught.value).split("`")[1]
        assert all_names(outer, "ada") == [LabName(ID, "ada")]
        assert not LabName("01_toy", "ada").keys.exists()
        assert dockyard(*ends.split()[1:]).returncode == 0
        lifecycle.up(outer, other, "ada")
        patch.setenv("DOCKYARD_LABS_EACH", "a few")
        with pytest.raises(UnknownName, match='DOCKYARD_LABS_EACH is "a few"'):
            lifecycle.up(outer, exercise, "ada")


@pytest.fixture
def strangers_on() -> Iterator[MakeStrangers]:
    """Makes things of other people, named just as ours, with labels that are not; as they were."""
    with ExitStack() as later:
        yield lambda client: _make_strangers(client, later)


def _make_strangers(client: docker.DockerClient, later: ExitStack) -> dict[str, Any]:
    prefix, tag = LabName(ID, "ada").prefix, f"{os.getpid()}-other"
    client.images.get("dockyard/host:1").tag("dockyard/host", tag)
    later.callback(client.images.remove, f"dockyard/host:{tag}")
    volume = client.volumes.create(f"dockyard-{settings.site()}-seed-0123456789ab")
    later.callback(volume.remove)
    network = client.networks.create(f"{prefix}-x", labels={"dockyard": "no label of ours"})
    later.callback(network.remove)
    container = client.containers.run(
        f"dockyard/host:{tag}", ["-c", "sleep 600"], entrypoint="sh", name=f"{prefix}-node2",
        network=network.name, volumes=[f"{volume.name}:/kept"], detach=True,
        labels={"dockyard.learner": "ada", "dockyard.exercise": ID},
    )  # fmt: skip
    later.callback(container.remove, force=True)
    container.exec_run(["sh", "-c", "echo mine > /kept/file"])
    return look(client, container.id, network.id, volume.name, tag)


def disk_usage(engine: docker.DockerClient) -> dict[str, Any]:
    """What `docker system df` tells; an engine counts for one caller at a time."""

    def count() -> dict[str, Any] | None:
        try:
            return engine.df()
        except APIError as error:
            if "already running" not in str(error.explanation):
                raise
            return None

    return wait_until(count, 120, "the engine to have counted for others") or {}


def look(
    outer: docker.DockerClient, container: Any, network: Any, volume: Any, tag: str
) -> dict[str, Any]:
    """All that the engine says of them."""
    usage = disk_usage(outer)
    return {
        "arguments": (container, network, volume, tag),
        "container": outer.api.inspect_container(container),
        "network": outer.api.inspect_network(network),
        "volume": outer.api.inspect_volume(volume),
        "image": outer.api.inspect_image(f"dockyard/host:{tag}")["Id"],
        "listed": [{**each, "Status": ""} for each in outer.api.containers(all=True)
                   if each["Id"] == container],
        "room": [each["UsageData"] for each in usage["Volumes"] if each["Name"] == volume],
        "file": outer.containers.get(container).exec_run(["cat", "/kept/file"]).output,
    }  # fmt: skip


@pytest.mark.parametrize(
    "command",
    ["down 00_toy --learner ada", "reset --learner ada", "reset 00_toy --learner ada",
     "reset 00_toy --all", "reset --all", "engine remove"],
)  # fmt: skip
def test_strangers_survive(
    outer: docker.DockerClient,
    exercise: Exercise,
    strangers_on: MakeStrangers,
    command: str,
) -> None:
    strangers = strangers_on(outer)
    lab = lifecycle.up(outer, exercise, "ada")
    before = ids(outer, lab.name)
    done = dockyard(*command.split())
    assert done.returncode == 0, done.stderr
    assert set(ids(outer, lab.name)).isdisjoint(before)  # it did what it is for
    after = look(outer, *strangers["arguments"])
    after["container"]["ExecIDs"] = strangers["container"]["ExecIDs"]  # of our own looking
    assert after == strangers
    for name in all_names(outer):
        lifecycle.down(outer, name)
    with pytest.raises(NotFound):
        outer.networks.get(lab.name.prefix)


@pytest.fixture
def private_engine(
    outer: docker.DockerClient, room: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[docker.DockerClient]:
    """One on which nobody else is at work, with the images of the room's labs."""
    if os.geteuid() != 0 or not shutil.which("dockerd"):
        pytest.skip("runs a private dockerd: takes root and docker.io")
    with room.context() as patch:
        patch.setenv("DOCKYARD_ENGINE_HOST", "embedded")
        patch.setenv("DOCKYARD_STATE", str(tmp_path / "state"))
        try:
            client = engine.connect()
            images = [outer.images.get(f"dockyard/{name}:1") for name in ("host", "debian")]
            seed.load(client, seed.export(outer, images))
            yield client
        finally:
            embedded.remove()


def usage(engine: docker.DockerClient) -> dict[str, Any]:
    """`docker ps -a`, `network ls` and `system df -v`, but for seeds, which stay for the next."""
    used = disk_usage(engine)
    labels = {"volumes": [each for each in used["Volumes"] or []
                          if seed.SEED_LABEL not in (each["Labels"] or {})]}  # fmt: skip
    listed = [{**each, "Status": ""} for each in engine.api.containers(all=True)]
    networks = sorted(each.id for each in engine.networks.list())
    images = sorted(used["Images"], key=lambda each: each["Id"])
    return {**labels, "ps": listed, "networks": networks, "images": images,
            "layers": used["LayersSize"]}  # fmt: skip


def test_an_engine_is_left_as_it_was(
    private_engine: docker.DockerClient,
    strangers_on: MakeStrangers,
) -> None:
    """To the byte, after a room has come, was reset, and has gone."""
    strangers_on(private_engine)
    exercise = load_exercise(ID)
    before = usage(private_engine)
    for learner in ("ada", "bob", "cy"):
        lifecycle.up(private_engine, exercise, learner)
    assert len(usage(private_engine)["ps"]) == len(before["ps"]) + 3
    for command in (["reset", ID, "--all"], ["down", ID, "--learner", "cy"], ["reset", "--all"]):
        done = dockyard(*command)
        assert done.returncode == 0, done.stderr
    assert usage(private_engine) == before
