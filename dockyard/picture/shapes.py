"""The shapes, colours and signs of a picture, and how much room words take."""

from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from itertools import chain, repeat
from types import MappingProxyType
from typing import NamedTuple
from xml.etree.ElementTree import Element, SubElement, tostring

#: Sizes in pixels. No text is smaller than SMALL.
SMALL, MIDDLE, LARGE = 12, 13, 15
MARGIN, LINE = 16, 18
#: How many things of one kind a box has room for.
MOST_LINES = 3

FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif'

INK, FAINT, EDGE, PAPER, GROUND = "#1f2328", "#59636e", "#afb8c1", "#ffffff", "#f6f8fa"
GREEN, AMBER, RED, BLUE, SKY = "#1a7f37", "#9a6700", "#cf222e", "#0550ae", "#ddf4ff"

#: Signs and colours.
Sign = tuple[str, str]
STATES: dict[str, Sign] = {
    "running": ("●", GREEN),
    "paused": ("◐", AMBER),
    "restarting": ("◐", AMBER),
    "exited": ("✗", RED),
    "dead": ("✗", RED),
}
OTHER_STATE: Sign = ("○", FAINT)
HEALTH: dict[str, Sign] = {"healthy": ("♥", GREEN), "unhealthy": ("!", RED)}
OTHER_HEALTH: Sign = ("…", AMBER)

#: Draws something small beside a text that begins at x and stands on y.
Icon = Callable[[Element, float, float], None]
Line = tuple[Icon | None, str]


class Item(NamedTuple):
    """A sign with words; `what` it is makes it a group that a page can tell from others."""

    icon: Icon
    words: str
    what: Mapping[str, str] = MappingProxyType({})


def more(count: int, noun: str) -> list[Line]:
    return [(None, f"and {count} more {noun}{'s' * (count > 1)}")] if count > 0 else []


def few(words: Sequence[str]) -> list[str]:
    beyond = len(words) - MOST_LINES
    return [*words[:MOST_LINES], f"and {beyond} more"] if beyond > 0 else list(words)


def flow(svg: Element, items: Sequence[Item], top: float, width: float, colour: str) -> float:
    """Items one after the other, in as many lines as it takes. Returns where they end."""
    x, y = float(MARGIN), top
    for icon, words, what in items:
        words = fit(words, width - 2 * MARGIN - 20)
        room = width_of(words) + 20
        if x + room > width - MARGIN:
            x, y = float(MARGIN), y + 22
        group = add(svg, "g", **what) if what else svg
        icon(group, x, y)
        text(group, x + 18, y, words, fill=colour)
        x += room + 16
    return y + 28 if items else top


def lines(
    svg: Element,
    items: Sequence[Line],
    x: float,
    y: float,
    room: float,
    taken: Sequence[float] = (),
) -> float:
    """Items below each other; of the room, some lines have less. Returns where the next stands."""
    for (icon, words), less in zip(items, chain(taken, repeat(0)), strict=False):
        indent = 18 if icon else 0
        if icon:
            icon(svg, x, y)
        text(svg, x + indent, y, fit(words, room - indent - less), fill=FAINT)
        y += LINE
    return y


def cylinder(svg: Element, x: float, y: float) -> None:
    rim = f"M{x + 0.5:g} {y - 8:g}a5.5 2.5 0 0 "
    path = f"{rim}1 11 0v7a5.5 2.5 0 0 1-11 0z{rim}0 11 0"
    add(svg, "path", d=path, fill=SKY, stroke=BLUE)


def folder(svg: Element, x: float, y: float) -> None:
    add(svg, "path", d=f"M{x:g} {y - 9:g}h5l2 2h6v8h-13z", fill="#fff8c5", stroke=AMBER)


def tab(svg: Element, x: float, y: float) -> None:
    add(svg, "rect", x=x, y=y - 9, width=13, height=10, rx=3, fill=SKY, stroke=BLUE)


def sign(sign: str, colour: str) -> Icon:
    return lambda svg, x, y: text(svg, x, y, sign, fill=colour)


LEGEND: list[Item] = [
    Item(sign(*STATES["running"]), "running"),
    Item(sign(*STATES["paused"]), "paused, restarting"),
    Item(sign(*STATES["exited"]), "exited"),
    Item(sign(*HEALTH["healthy"]), "healthy"),
    Item(sign(*HEALTH["unhealthy"]), "unhealthy"),
    Item(cylinder, "volume"),
    Item(folder, "folder of the host"),
    Item(tab, "published port"),
]


def width_of(text: str, size: float = SMALL) -> float:
    """About how wide *text* is in a wide sans serif (DejaVu); nobody knows which a page has."""

    def width(c: str) -> float:
        if c in "ijl.,:;'|! ft()/-·":
            return 0.37
        if c in "mwMW@%" or not c.isascii():
            return 1.0
        return 0.74 if c.isupper() else 0.63

    return size * sum(map(width, text))


def fit(text: str, room: float, size: float = SMALL) -> str:
    """As much of *text* as there is room for; large text is bold, and wider."""
    while len(text) > 1 and width_of(text, size if size == SMALL else size * 1.1) > room:
        text = text.removesuffix("…")[:-1] + "…"
    return text


def document(title: str, words: str) -> Element:
    """An SVG document without anything in it, and what it says to those who do not see it."""
    svg = Element("svg", xmlns="http://www.w3.org/2000/svg", role="img", fill=INK)
    svg.attrib |= {"font-family": FONT, "font-size": str(SMALL)}
    SubElement(svg, "title").text = title
    SubElement(svg, "desc").text = words
    return svg


def finish(svg: Element, width: float, height: float) -> str:
    """The document as text, with its size in pixels."""
    size = {"width": f"{width:g}", "height": f"{height:g}"}
    svg.attrib |= {**size, "viewBox": f"0 0 {width:g} {height:g}"}
    return tostring(svg, "unicode")


def image(source: str, words: str) -> Element:
    """An SVG document as an element of HTML: in an image, it can neither run nor load anything."""
    data = f"data:image/svg+xml;base64,{b64encode(source.encode()).decode()}"
    return Element("img", alt=words, src=data, style="max-width:100%;border:0")


def line(svg: Element, path: str, colour: str, **look: object) -> None:
    add(svg, "path", d=path, stroke=colour, **{"fill": "none", "stroke_width": 2.5, **look})


def text(svg: Element, x: float, y: float, words: str, **look: object) -> None:
    if words:
        add(svg, "text", x=x, y=y, **look).text = words


def add(svg: Element, tag: str, **look: object) -> Element:
    words = {name: f"{v:g}" if isinstance(v, int | float) else str(v) for name, v in look.items()}
    return SubElement(svg, tag, {name.replace("_", "-"): v for name, v in words.items()})
