"""What a learner does to a lab from its picture: break something, and bring it back."""

import msgspec
from docker.models.containers import Container

from dockyard.errors import LabError
from dockyard.keeper import Keeper
from dockyard.lab import Lab


class Thing(msgspec.Struct, frozen=True):
    """What somebody clicked: a host, a container (by its id) on it, or a service."""

    host: str = ""
    container: str = ""
    service: str = ""


class Action(msgspec.Struct, frozen=True):
    """A button: what it says, and the name of what it does."""

    name: str
    title: str


KILL, STOP, START = Action("kill", "Kill"), Action("stop", "Stop"), Action("start", "Start")
STOP_HOST, START_HOST = Action("stop-host", "Stop this host"), Action("start-host", "Start it")
CUT_OFF = Action("cut-off", "Cut it off from the other hosts")
JOIN_AGAIN = Action("join-again", "Put it back on the network")


def act(keeper: Keeper, lab: Lab, name: str, thing: Thing) -> None:
    """Do what a button says.

    Raises:
        LabError: there is no such button.
        DockerException, OSError: there is no such thing, or its engine does not answer.
    """
    if not thing.container:
        keeper.cause(lab, name, thing.host)
        return
    there = container_of(lab, thing)
    buttons = {"kill": there.kill, "stop": there.stop, "start": there.start}
    if name not in buttons:
        raise LabError(f'There is no button "{name}".')
    buttons[name]()


def container_of(lab: Lab, thing: Thing) -> Container:
    return lab.client(lab.known(thing.host)).containers.get(thing.container)
