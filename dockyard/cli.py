"""The command line: one verb each, one line for an error."""

import contextlib
import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import docker
from click.core import ParameterSource
from docker.errors import DockerException
from requests.exceptions import RequestException

from dockyard import (
    embedded,
    hints,
    images,
    keeping,
    lab,
    lifecycle,
    progress,
    report,
    resetting,
    seed,
    swarm,
)
from dockyard import engine as engines
from dockyard.course import Exercise, exercise_ids, load_exercise
from dockyard.errors import DockyardError, LabError, UnknownName, reason
from dockyard.liveline import LiveLine
from dockyard.plural import counted
from dockyard.recipes import all_recipes, recipe
from dockyard.settings import GRADING, course_dir, default_learner


class Verbs(click.Group):
    """Turns what went wrong into one line and the exit code of the design."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except DockyardError as error:
            _fail(str(error), error.exit_code)
        except (DockerException, RequestException, OSError) as error:
            _fail(f"{reason(error)}. `dockyard doctor` looks for the cause.", 2)


def _fail(message: str, code: int) -> None:
    click.echo(f"dockyard: {message}", err=True)
    sys.exit(code)


def say(line: str) -> None:
    """Progress goes to standard error, so that --json stays clean."""
    click.echo(f" • {line}", err=True)


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Dockyard: a hands-on Docker course on real Docker hosts."""
    if os.environ.get(GRADING):
        raise UnknownName("While a submission is graded, its notebook cannot use this command.")


def _exercise(_: click.Context, __: click.Parameter, value: str | None) -> Exercise | None:
    return None if value is None else load_exercise(value)


def exercise_argument(required: bool = True) -> Callable[[Any], Any]:
    return click.argument("exercise", metavar="ID", required=required, callback=_exercise)


learner_option = click.option(
    "--learner", metavar="NAME", default=default_learner, help="Whose lab; yours by default."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def _print_json(value: Any) -> None:
    click.echo(json.dumps(value, indent=1))


@main.command("doctor")
@click.option("--learners", metavar="N", type=click.IntRange(1), help="Is there room for N?")
@json_option
def doctor_(learners: int | None, as_json: bool) -> None:
    """Check this machine: what was found, what it means, how to mend it."""
    from dockyard.doctor import diagnosis

    findings = diagnosis.diagnose(say, learners or 0)
    click.echo(diagnosis.to_json(findings) if as_json else diagnosis.to_text(findings))
    sys.exit(0 if diagnosis.is_fit(findings) else 2)


@main.command("images")
@click.argument("names", metavar="ID", nargs=-1)
@click.option("--list", "only_list", is_flag=True, help="Show each with its source and size.")
@json_option
def images_(names: tuple[str, ...], only_list: bool, as_json: bool) -> None:
    """Make sure of the images that exercises need.

    ID is an exercise; without one, all images are made.
    """
    engine = engines.connect(say)
    wanted = [name for each in names for name in ["host", *load_exercise(each).lab.images]]
    recipes = [recipe(name) for name in dict.fromkeys(wanted)] if names else all_recipes()
    if not only_list:
        images.ensure_all(engine, (each.name for each in recipes), say)
    rows = [images.describe(engine, each) for each in recipes]
    if as_json:
        _print_json([vars(row) for row in rows])
        return
    for row in rows:
        size = f"{row.size / 1e6:6.1f} MB" if row.size else "not made"
        click.echo(f"{row.name:22} {size:>10}  {row.source}")
    for exercise in map(load_exercise, names or exercise_ids()):
        mine = [name for name in exercise.lab.images if images.is_there(engine, name)]
        click.echo(f"A lab of {exercise.id} loads {images.total_size(engine, mine) / 1e6:.0f} MB.")


@main.command()
@exercise_argument()
@learner_option
@json_option
def up(exercise: Exercise, learner: str, as_json: bool) -> None:
    """Make sure that the lab of an exercise runs."""
    _show_status(keeping.find(say).up(exercise, learner, say), as_json)


@main.command()
@exercise_argument()
@learner_option
def down(exercise: Exercise, learner: str) -> None:
    """Remove the lab of an exercise."""
    went = keeping.find(say).down(lab.LabName(exercise.id, learner))
    click.echo(f"Removed {went}." if went.hosts or went.networks else "Already clean.")


@main.command()
@exercise_argument(required=False)
@learner_option
@json_option
def status(exercise: Exercise | None, learner: str, as_json: bool) -> None:
    """Show the hosts of a lab, and what is on them."""
    keeper = keeping.find(say)
    if exercise is not None:
        _show_status(keeper.find(exercise, learner), as_json)
        return
    rows = [{"exercise": e.exercise, "learner": e.learner} for e in keeper.labs(learner)]
    if as_json:
        _print_json(rows)
        return
    for row in rows:
        click.echo(row["exercise"])
    if not rows:
        click.echo(f'"{learner}" has no labs.')


def _show_status(found: lab.Lab, as_json: bool) -> None:
    exercise = found.exercise
    running = swarm.running_on(found)
    rows = [
        {
            "host": host,
            "docker_host": found.address(host),
            "urls": {str(p): found.url(host, p) for p in exercise.lab.ports},
            "containers": running[host],
        }
        for host in found.hosts
    ]
    if as_json:
        _print_json(rows)
        return
    for row in rows:
        click.echo(f"{row['host']}  {row['docker_host']}  {', '.join(running[str(row['host'])])}")
    click.echo(f'Turn your shell to a host: eval "$(dockyard env {exercise.id} {found.hosts[0]})"')


@main.command()
@exercise_argument(required=False)
@click.argument("host", required=False)
@click.option("--engine", "outer", is_flag=True, help="The outer engine instead.")
@learner_option
def env(exercise: Exercise | None, host: str | None, outer: bool, learner: str) -> None:
    """Print shell exports that turn `docker` to one host of a lab."""
    if outer:
        endpoint = engines.find(say)
        variables = {"DOCKER_HOST": endpoint.url, "DOCKER_CERT_PATH": endpoint.cert_path or ""}
        variables["DOCKER_TLS_VERIFY"] = "1" if endpoint.cert_path else ""
        click.echo(f"unset {lab.LAB_MARK}")
    elif exercise is None:
        raise UnknownName(f"Name an exercise: {', '.join(exercise_ids())}; or give --engine.")
    else:
        keeper = keeping.find(say)
        found = keeper.find(exercise, learner)
        variables = keeper.shell_variables() | swarm.modes(found)
        variables |= found.environment(host or found.hosts[0])
    for name, value in variables.items():
        click.echo(f"export {name}={shlex.quote(value)}" if value else f"unset {name}")


@main.command()
@exercise_argument()
@click.option("--task", help="Only the criteria of this task.")
@learner_option
@json_option
def check(exercise: Exercise, task: str | None, learner: str, as_json: bool) -> None:
    """Look at a lab: what was expected, what was found."""
    keeper = keeping.find(say)
    keeper.find(exercise, learner)
    line = LiveLine()
    result = keeper.check(exercise, learner, task, tell=lambda step: line.show(f" • {step}"))
    line.wipe()
    progress.remember(result)
    click.echo(report.to_json(result) if as_json else report.to_text(result))
    sys.exit(2 if result.points is None else 0 if result.passed else 1)


@main.command()
@exercise_argument()
@click.argument("criterion", required=False)
@learner_option
def hint(exercise: Exercise, criterion: str | None, learner: str) -> None:
    """Print the next hint, from what was found."""
    keeper = keeping.find(say)
    keeper.find(exercise, learner)
    click.echo(hints.next_hint(keeper, exercise, learner, criterion))


@main.command()
@exercise_argument()
@click.option("--to", "task", metavar="TASK", help="Stop after this task.")
@learner_option
def solve(exercise: Exercise, task: str | None, learner: str) -> None:
    """Bring a lab to the state after a task, from the exercise's own solution."""
    from dockyard import solution

    solution.solve(engines.connect(say), exercise, learner, task, say)
    click.echo(f'The lab is as it is after "{task or exercise.tasks[-1].id}".')


@main.command()
@exercise_argument(required=False)
@click.option("--all", "everyone", is_flag=True, help="Every learner's labs, or those of ID.")
@click.option("--to", "task", metavar="TASK", help="Then solve up to the end of this task.")
@click.option("--files", is_flag=True, help="New files in work/, too; yours are put aside.")
@learner_option
@json_option
@click.pass_context
def reset(
    ctx: click.Context,
    exercise: Exercise | None,
    everyone: bool,
    task: str | None,
    files: bool,
    learner: str,
    as_json: bool,
) -> None:
    """Back to the start: one exercise, or all of a learner's.

    With --all, everyone's labs are removed; with ID and --all, everyone's labs of ID are new.
    """
    if everyone and ctx.get_parameter_source("learner") is ParameterSource.COMMANDLINE:
        raise UnknownName("--all means everyone, --learner one of them: give only one of the two.")
    if everyone and files:
        raise UnknownName("--files goes without --all: files in work/ are each learner's own.")
    if exercise is None and (task or files):
        raise UnknownName(f"Name an exercise with --to and --files: {', '.join(exercise_ids())}.")
    if exercise and task:
        exercise.task(task)
    began = time.monotonic()
    done = _reset(exercise, everyone, task, learner, as_json)
    if exercise and files:
        _new_files(exercise)
    took = f"It took {time.monotonic() - began:.1f} s."
    if as_json:
        _print_json([each.row() for each in done])
    else:
        click.echo(f"Nothing else was touched. {took}" if done else "Already clean.")
    if failed := [f'"{each.lab.label}"' for each in done if each.error]:
        of = counted(len(done), "lab")
        raise LabError(f"{len(failed)} of {of} not reset: {', '.join(failed)}. Why, stands above.")


def _reset(
    exercise: Exercise | None, everyone: bool, task: str | None, learner: str, as_json: bool
) -> list[resetting.Outcome]:
    """What became of each lab, told as it happens; one that fails does not stop the others."""
    if not everyone:
        coming = resetting.mine(keeping.find(say), learner, exercise, task, say)
    elif exercise:
        coming = resetting.room(engines.connect(say), exercise, task, say)
    else:
        coming = resetting.clear(engines.connect(say))
    done = []
    for each in coming:
        if each.error and exercise and not everyone:
            raise each.error
        done.append(each)
        click.echo(str(each), err=as_json or bool(each.error))
        if task and not each.error:
            say(f'The lab is as it is after "{task}"')
    return done


def _new_files(exercise: Exercise) -> None:
    from dockyard import release

    aside = release.renew_work_copy(exercise)
    say(
        f'New files in "work/{exercise.id}"'
        + (f'; yours are in "work/{aside.name}"' if aside else "")
    )


@main.command("release")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path, file_okay=False))
@json_option
def release_(folder: Path, as_json: bool) -> None:
    """Make the learners' kit in DIR: notebooks and exercises without solutions."""
    from dockyard import release

    kit = release.release(folder)
    if as_json:
        _print_json({"folder": str(folder), "written": kit.written, "kept": kit.kept})
        return
    written = counted(len(kit.written), "file")
    click.echo(f'{written} written to "{folder}". Learners run `make lab` in it.')
    for name in kit.kept:
        click.echo(f"Not overwritten, for somebody has changed it: {name}")


@main.group("bundle")
def bundle_() -> None:
    """All that a room without internet needs, in one file."""


FILE = click.Path(path_type=Path, dir_okay=False)


@bundle_.command("save")
@click.argument("file", metavar="FILE", type=FILE)
def bundle_save(file: Path) -> None:
    """Write this course, and all that it needs, to FILE."""
    from dockyard.bundle import saving

    engine = engines.connect(say)
    images.ensure_all(engine, (each.name for each in all_recipes()), say)
    size = saving.save(engine, file, say)
    click.echo(f'"{file}" has {size / 1e6:.0f} MB. Without a network, on a machine like this one:')
    click.echo(f"  tar -xf {shlex.quote(file.name)} && cd {saving.TOP} && make lab")


@bundle_.command("load")
@click.argument("file", metavar="FILE", type=FILE)
def bundle_load(file: Path) -> None:
    """Take in what FILE brings, and load its images."""
    from dockyard.bundle import loading

    others = loading.load(file)
    engine = engines.connect(say)
    images.ensure_all(engine, (each.name for each in all_recipes()), say)
    click.echo("Everything is in place: `make lab` needs no network.")
    if others:
        few = ", ".join(others[:3])
        click.echo(
            f"{counted(len(others), 'file')} of this course differ from the bundle's: {few}."
        )


@bundle_.command("serve")
@click.argument("file", metavar="FILE", type=FILE)
@click.option("--address", metavar="IP", default="", help="Of this machine, for the room.")
@click.option("--port", type=click.IntRange(0, 65535), default=8443, show_default=True)
def bundle_serve(file: Path, address: str, port: int) -> None:
    """Hand FILE to a room, over TLS; prints what the others type."""
    from dockyard.bundle import serving

    with contextlib.suppress(KeyboardInterrupt):
        serving.serve(file, address, port, say)


@main.command("board")
@click.option("--address", metavar="IP", default="", help="Of this machine: the room may tell it.")
@click.option(
    "--port",
    type=click.IntRange(0, 65534),
    default=8444,
    show_default=True,
    help="Of the page; the room's is the next one.",
)
def board_(address: str, port: int) -> None:
    """Show the class at a glance, live, in a browser."""
    from dockyard.board import serving

    with contextlib.suppress(KeyboardInterrupt):
        serving.serve(address, port, say)


@main.command("share")
@click.argument("address", required=False)
@click.option("--stop", is_flag=True, help="Share no longer.")
def share_(address: str | None, stop: bool) -> None:
    """Share with the board at ADDRESS how far you are; alone, say whether you do."""
    from dockyard.board import agreement

    if address and stop:
        raise UnknownName("Give an address, or --stop; not both.")
    if address:
        agreed, answers = agreement.agree(address)
        click.echo(agreement.in_words(agreed, default_learner()))
        if not answers:
            click.echo("It does not answer now: it is told as soon as it does.")
    elif not (now := agreement.read()):
        click.echo("You share with no board. `dockyard share ADDRESS` begins.")
    elif stop:
        forgotten = "It has forgotten you." if agreement.end(now) else "It does not answer now."
        click.echo(f'You share no longer with the board at "{now.host}:{now.port}". {forgotten}')
    else:
        click.echo(agreement.in_words(now, default_learner()))


@main.command("collect")
@exercise_argument()
@click.argument("source", required=False, type=click.Path(path_type=Path))
@json_option
def collect_(exercise: Exercise, source: Path | None, as_json: bool) -> None:
    """Take in submissions from SOURCE: a learning platform's download, as a zip or a folder.

    Without SOURCE, they come from nbgrader's exchange.
    """
    from dockyard.classroom.intake import collect

    outcomes = collect.collect(exercise, source, say)
    click.echo(collect.to_json(outcomes) if as_json else collect.to_text(outcomes, exercise))
    sys.exit(1 if any(each.is_doubtful for each in outcomes) else 0)


@main.command("grade")
@exercise_argument()
@click.option(
    "--submissions",
    "folder",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    help="With <learner>/ID/ID.ipynb; by default, what was collected.",
)
@click.option(
    "--csv",
    "table",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the grades to FILE.",
)
@click.option("--learner", "learners", metavar="NAME", multiple=True, help="Only theirs.")
@click.option("--again", is_flag=True, help="Also what is graded already.")
@click.option(
    "--workers",
    metavar="N",
    type=click.IntRange(1),
    default=lambda: 3 * (os.cpu_count() or 1),
    help="How many side by side on this machine; three for each core by default.",
)
@click.option("--dask", metavar="ADDRESS", default="", help="Grade on a Dask cluster instead.")
@json_option
def grade_(
    exercise: Exercise,
    folder: Path | None,
    table: Path | None,
    learners: tuple[str, ...],
    again: bool,
    workers: int,
    dask: str,
    as_json: bool,
) -> None:
    """Grade submissions, each in a fresh lab; what is graded already is not graded again."""
    from dockyard.classroom import export, grade, records

    if folder is None:
        folder = records.folder() / "submitted"
        if not any(folder.glob(f"*/{exercise.id}")):
            raise UnknownName(f"Nothing is collected yet: dockyard collect {exercise.id} SOURCE.")
    if table is not None and not table.parent.is_dir():
        raise UnknownName(f'There is no folder "{table.parent}" for the grades. Nothing was done.')
    result = grade.grade(exercise, folder, learners, again, workers, dask, say)
    if table is not None:
        export.write_csv(table, exercise, result.records)
    click.echo(export.to_json(result) if as_json else export.to_text(result))
    sys.exit(result.exit_code)


@main.command("lab", hidden=True)
def lab_() -> None:
    """Make all that a learner needs, and open JupyterLab (`make lab`)."""
    from dockyard import jupyter, release
    from dockyard.doctor import diagnosis

    engine = engines.connect(say)
    images.ensure_labs(engine, say=say)
    for path in release.ensure_work_copy():
        say(f"Added {path.relative_to(course_dir())}")
    if amiss := diagnosis.amiss(say):
        click.echo(amiss, err=True)
    sys.exit(jupyter.run(say))


@main.command("hub")
@click.option("--address", metavar="IP", default="", help="Of this machine, for the room: TLS.")
@click.option("--port", type=click.IntRange(1, 65535), default=8000, show_default=True)
@click.option("--forget", is_flag=True, help="Remove all places, and learners' files, instead.")
def hub_(address: str, port: int, forget: bool) -> None:
    """Run a JupyterHub for a room: each learner works on this machine, in a browser."""
    from dockyard.hub import places, running

    if not forget:
        sys.exit(running.run(address, port, say))
    with running.only_one():
        gone, volumes = places.forget(engines.connect(say))
    click.echo(f"Removed {counted(gone, 'place')}, {counted(volumes, 'volume')}. Labs stay.")


@main.group(hidden=True)
def engine() -> None:
    """The embedded engine, for the Makefile."""


@engine.command("ensure")
def engine_ensure() -> None:
    """Make sure that an engine answers."""
    endpoint = engines.find(say)
    say(f"Using {endpoint.found_by} at {endpoint.url}")


@engine.command("with", context_settings={"ignore_unknown_options": True})
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def engine_with(command: tuple[str, ...]) -> None:
    """Run a command with an engine there; one that was started for it stops with it."""
    was_running = engines.first_that_answers() is not None
    engines.connect(say)
    try:
        status = subprocess.run(command, check=False).returncode
    finally:
        if not was_running:
            embedded.stop()
    sys.exit(status)


@engine.command("remove")
def engine_remove() -> None:
    """Remove all that Dockyard made on this machine: labs, seeds, the embedded engine."""
    from dockyard.hub import places

    endpoint = engines.first_that_answers()
    if endpoint:
        client: docker.DockerClient = endpoint.client(60)
        if kept := places.homes(client):
            raise UnknownName(
                f"A hub keeps the files of {counted(len(kept), 'learner')} on this engine. Take "
                "out what is wanted; `dockyard hub --forget` removes them. Nothing was done."
            )
        places.forget(client)
        for name in lab.all_names(client):
            say(f"Removed {lifecycle.down(client, name)}")
        seed.remove_all(client)
    embedded.remove(say)
