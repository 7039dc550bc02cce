"""A scene as a picture (SVG).

The picture is built as a tree of elements, never as text: what a lab's engines say cannot become
part of its structure. Signs and words say all that colours say. Hosts, containers and published
ports are groups with `data-host`, `data-container` and `data-port`, services such with
`data-service`, for a page that lets people click on them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from operator import itemgetter
from types import MappingProxyType
from xml.etree.ElementTree import Element, tostring

from dockyard.picture.scene import Container, Host, Network, Scene, Service, spoken
from dockyard.picture.shapes import (
    AMBER,
    BLUE,
    EDGE,
    FAINT,
    GREEN,
    GROUND,
    HEALTH,
    INK,
    LARGE,
    LEGEND,
    LINE,
    MARGIN,
    MIDDLE,
    MOST_LINES,
    OTHER_HEALTH,
    OTHER_STATE,
    PAPER,
    RED,
    SKY,
    SMALL,
    STATES,
    Item,
    Line,
    Sign,
    add,
    cylinder,
    document,
    few,
    finish,
    fit,
    flow,
    folder,
    image,
    line,
    lines,
    more,
    sign,
    text,
    width_of,
)
from dockyard.picture.words import describe, part_in_words, service_in_words, state_in_words
from dockyard.plural import counted
from dockyard.report import Outcome

#: Sizes in pixels.
HOST, GAP, PAD, HEAD, RAIL, LANE, STUB = 284, 20, 12, 42, 27, 10, 8
COLUMNS, MOST_RAILS = 3, 4
OPEN: Sign = ("○", FAINT)

RAILS = ["#0969da", "#bc4c00", "#8250df", "#0f766e", "#bf3989", "#4d7c0f", "#4338ca", "#7d4e00"]

#: Name → outcomes of the criteria that speak of it.
Verdicts = Mapping[str, Sequence[Outcome]]

#: What the networks of a container say that are no rails.
ALONE = {"none": "no network", "host": "the host's own network", "container": "{}'s network"}


def as_image(scene: Scene) -> str:
    """The picture as an element of HTML."""
    return tostring(image(draw(scene), describe(scene)), "unicode")


def draw(scene: Scene, columns: int = COLUMNS, verdicts: Verdicts = MappingProxyType({})) -> str:
    """The scene as an SVG document: hosts side by side, what hangs together joined by lines.

    Args:
        columns: how many hosts a row has room for.
        verdicts: what is said of things, by the names that people give them.
    """
    wide = min(len(scene.hosts), columns) or 1
    width = 2 * MARGIN + wide * HOST + (wide - 1) * GAP
    svg = document("The lab's hosts, and what they run", describe(scene))
    ground = add(svg, "rect", width=width, rx=10, fill=GROUND)
    bottom = float(MARGIN)
    for first in range(0, len(scene.hosts), wide):
        bottom = _row(svg, scene, scene.hosts[first : first + wide], bottom, verdicts) + GAP
    services = [_service(each, verdicts) for each in scene.services]
    for items, colour in ((services, INK), (LEGEND, FAINT)):
        bottom = flow(svg, items, bottom, width, colour)
    ground.set("height", f"{bottom:g}")
    return finish(svg, width, bottom)


@dataclass(frozen=True)
class Lane:
    """A network at a host: the height at which it comes in, and where it runs down."""

    network: Network
    colour: str
    x: float
    y: float


@dataclass(frozen=True)
class Column:
    """A host, and where its parts go. `hidden` networks have found no room."""

    host: Host
    left: float
    top: float
    lanes: list[Lane]
    hidden: int
    verdicts: Verdicts

    @property
    def start(self) -> float:
        """Where containers begin, right of the lanes."""
        return self.left + PAD + (len(self.lanes) * LANE + 6 if self.lanes else 0)

    @property
    def end(self) -> float:
        return self.left + HOST - PAD

    def contents(self, container: Container) -> list[Line]:
        """What stands below a container's name."""
        return _contents(container) + _verdict(spoken(container.name), self.verdicts)

    def height(self, container: Container) -> float:
        """Of a container's box, and the space below."""
        return 38 + LINE * max(len(self.contents(container)), len(few(container.ports)))


def _row(
    svg: Element, scene: Scene, hosts: Sequence[Host], top: float, verdicts: Verdicts
) -> float:
    """Hosts side by side, equally high, with the networks that span them. Returns their bottom."""
    names = {host.name for host in hosts}
    shared = [each for each in scene.networks if each.swarm and names & set(each.hosts)]
    shared = shared[:MOST_RAILS]
    columns = [
        _column(scene, host, shared, MARGIN + number * (HOST + GAP), top, verdicts)
        for number, host in enumerate(hosts)
    ]
    boxes = [_box(svg, column) for column in columns]
    for network in shared:
        at = [(each, lane) for each in columns for lane in each.lanes if lane.network == network]
        for (column, lane), (_, next_lane) in pairwise(at):
            path = f"M{column.end} {lane.y:g}H{next_lane.x}"
            line(svg, path, lane.colour, stroke_dasharray="3 4")
    bottom = max(_host(svg, column, len(shared)) for column in columns)
    for box in boxes:
        box.set("height", f"{bottom - top:g}")
    return bottom


def _column(
    scene: Scene,
    host: Host,
    shared: Sequence[Network],
    left: float,
    top: float,
    verdicts: Verdicts,
) -> Column:
    known = [each for each in scene.networks if host.name in each.hosts]
    own = [each for each in known if not each.swarm][:MOST_RAILS]
    # A network that spans hosts comes in at the same height everywhere.
    rails = [(number, each) for number, each in enumerate(shared) if each in known]
    rails += enumerate(own, start=len(shared))
    lanes = [
        Lane(
            network,
            RAILS[scene.networks.index(network) % len(RAILS)],
            x=left + PAD + 3 + lane * LANE,
            y=top + HEAD + rail * RAIL + 21,
        )
        for lane, (rail, network) in enumerate(rails)
    ]
    return Column(host, left, top, lanes, len(known) - len(lanes), verdicts)


def _box(svg: Element, column: Column) -> Element:
    dead = {"fill": GROUND, "stroke": RED, "stroke_dasharray": "5 4"}
    look = {"fill": PAPER, "stroke": EDGE} if column.host.answers else dead
    what = {"data_host": column.host.name, **look}
    return add(svg, "rect", x=column.left, y=column.top, width=HOST, rx=10, **what)


def _host(svg: Element, column: Column, shared: int) -> float:
    """What is in a host's box. Returns where it ends."""
    host, x = column.host, column.start
    _heading(add(svg, "g", data_host=host.name, aria_label=part_in_words(host)), column)
    y = max([column.top + HEAD + shared * RAIL, *(lane.y + 6 for lane in column.lanes)]) + 8
    tops = list(accumulate(map(column.height, host.containers), initial=y))
    for container, top in zip(host.containers, tops, strict=False):
        label = f"{container.name} on {host.name}, {state_in_words(container)}"
        what = {"data_host": host.name, "data_container": container.id, "aria_label": label}
        _container(add(svg, "g", **what), column, container, top)
    _rails(svg, column, tops)
    remarks = more(host.more, "container") + more(column.hidden, "network")
    if not host.answers:
        remarks.insert(0, (sign("✗", RED), "does not answer"))
    elif not host.containers:
        remarks.insert(0, (None, "no containers"))
    remarks += [(cylinder, f"not mounted: {name}") for name in few(host.volumes)]
    remarks += _verdict(host.name, column.verdicts)
    return lines(svg, remarks, x, tops[-1] + SMALL, column.end - x) + 4


def _heading(svg: Element, column: Column) -> None:
    host, y = column.host, column.top + 26
    sign, colour = ("★", BLUE) if "leader" in host.role else ("", FAINT)
    if host.standing:
        sign, colour = ("◐", AMBER) if host.standing in ("drained", "paused") else ("✗", RED)
    words = ", ".join(filter(None, [host.role, host.standing]))
    words = fit(f"{sign} {words}".strip(), HOST * 0.6)
    room = width_of(words) + 18 if words else 0
    if words:
        box = {"x": column.end - room, "y": y - 17, "width": room, "height": 24, "rx": 12}
        add(svg, "rect", **box, fill=GROUND, stroke=colour)
        text(svg, column.end - room / 2, y - 1, words, fill=colour, text_anchor="middle")
    name = fit(host.name, HOST - 2 * PAD - room - 8, LARGE)
    text(svg, column.left + PAD, y, name, font_size=LARGE, font_weight="bold")


def _rails(svg: Element, column: Column, tops: Sequence[float]) -> None:
    """Networks: across the box under their labels, and down to the last container on them."""
    joints = _joints(column, tops)
    for lane, heights in joints:
        network = lane.network
        label = " · ".join(filter(None, [network.name, network.driver, network.subnet]))
        label = fit(label, column.end - column.start)
        text(svg, column.start, lane.y - 6, label, fill=lane.colour)
        path = f"M{column.end} {lane.y:g}H{lane.x}V{max(heights, default=lane.y):g}"
        line(svg, path, lane.colour)
    for lane, heights in filter(itemgetter(1), joints):
        # With a margin, so that they pass over the lanes that they cross.
        margin = "".join(f"M{lane.x + 3} {y:g}H{column.start}" for y in heights)
        line(svg, margin, PAPER, stroke_width=6)
        line(svg, margin.replace(f"M{lane.x + 3} ", f"M{lane.x} "), lane.colour)
        for y in heights:
            add(svg, "circle", cx=column.start, cy=y, r=4, fill=lane.colour)


def _joints(column: Column, tops: Sequence[float]) -> list[tuple[Lane, list[float]]]:
    """The heights at which each network reaches its containers."""
    joints: list[tuple[Lane, list[float]]] = [(lane, []) for lane in column.lanes]
    for container, top in zip(column.host.containers, tops, strict=False):
        on = [each for each in joints if each[0].network.name in container.networks]
        step = (column.height(container) - 2 * LANE) / max(len(on), 3)
        for number, (_, heights) in enumerate(on):
            heights.append(top + LANE + number * step)
    return joints


def _container(svg: Element, column: Column, container: Container, top: float) -> None:
    x, width = column.start, column.end - column.start
    sign, colour = STATES.get(container.state.partition(" ")[0], OTHER_STATE)
    box = {"x": x, "y": top, "width": width, "height": column.height(container) - 8, "rx": 6}
    add(svg, "rect", **box, fill=GROUND, stroke=colour)
    text(svg, x + 9, top + 19, sign, fill=colour)
    note = "" if container.state == "running" else container.state
    if not note and container.health:
        sign, colour = HEALTH.get(container.health, OTHER_HEALTH)
        note = f"{sign} {container.health}"
    note = fit(note, width / 2)
    text(svg, column.end - 9, top + 19, note, fill=colour, text_anchor="end")
    name = fit(container.name, width - 44 - width_of(note), MIDDLE)
    text(svg, x + 26, top + 19, name, font_size=MIDDLE, font_weight="bold")
    doors = [_door(svg, column, port, top + 38 + number * LINE)
             for number, port in enumerate(few(container.ports))]  # fmt: skip
    lines(svg, column.contents(container), x + 9, top + 38, width - 18, doors)


def _contents(container: Container) -> list[Line]:
    lines: list[Line] = [(None, container.image)]
    for mount in container.mounts[:MOST_LINES]:
        icon = cylinder if mount.kind == "volume" else folder
        lines.append((icon, ("read-only " if mount.read_only else "") + mount.name))
    lines += more(len(container.mounts) - MOST_LINES, "mount")
    kind, _, other = (container.networks or ["none"])[0].partition(":")
    return [*lines, (None, ALONE[kind].format(other))] if kind in ALONE else lines


def _door(svg: Element, column: Column, port: str, y: float) -> float:
    """A published port, at the host's edge. Returns how much of the container's box it covers."""
    at = port.partition("→")[0].rpartition(":")[2]
    door = add(svg, "g", data_host=column.host.name, data_port=at, aria_label=f"port {port}")
    port = fit(port, HOST / 2)
    width = width_of(port) + 14
    x = column.end + PAD + STUB - width
    box = {"x": x, "y": y - 13, "width": width, "height": 17, "rx": 4}
    add(door, "rect", **box, fill=SKY, stroke=BLUE)
    text(door, x + width / 2, y, port, fill=BLUE, text_anchor="middle")
    return width - STUB - PAD


def _service(service: Service, verdicts: Verdicts) -> Item:
    words = service_in_words(service)
    how = ("✗", RED) if not service.running else ("◐", AMBER)
    if service.running >= service.wanted:
        how = ("✓", GREEN)
    what = {"data_host": "", "data_service": service.name, "aria_label": f"service {words}"}
    said = [words, *(text for _, text in _verdict(spoken(service.name), verdicts))]
    return Item(sign(*how), "; ".join(said), what)


def _verdict(name: str, verdicts: Verdicts) -> list[Line]:
    """How many criteria that speak of it are met, if any do."""
    outcomes = verdicts.get(name, [])
    met = outcomes.count("passed")
    words = f"{met} of {counted(len(outcomes), 'criterion', 'criteria')} met"
    how = ("✓", GREEN) if met == len(outcomes) else ("✗", RED) if "failed" in outcomes else OPEN
    return [(sign(*how), words)] if outcomes else []
