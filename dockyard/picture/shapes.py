"""The shapes, colours and signs of a picture, and how much room words take."""

from collections.abc import Callable, Sequence
from itertools import chain, repeat
from xml.etree.ElementTree import Element, SubElement

#: Sizes in pixels. No text is smaller than SMALL.
SMALL, MIDDLE, LARGE = 12, 13, 15
MARGIN, LINE = 16, 18
#: How many things of one kind a box has room for.
MOST_LINES = 3

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


def more(count: int, noun: str) -> list[Line]:
    return [(None, f"and {count} more {noun}{'s' * (count > 1)}")] if count > 0 else []


def few(words: Sequence[str]) -> list[str]:
    beyond = len(words) - MOST_LINES
    return [*words[:MOST_LINES], f"and {beyond} more"] if beyond > 0 else list(words)


def flow(
    svg: Element, items: Sequence[tuple[Icon, str]], top: float, width: float, colour: str
) -> float:
    """Items one after the other, in as many lines as it takes. Returns where they end."""
    x, y = float(MARGIN), top
    for icon, words in items:
        words = fit(words, width - 2 * MARGIN - 20)
        room = width_of(words) + 20
        if x + room > width - MARGIN:
            x, y = float(MARGIN), y + 22
        icon(svg, x, y)
        text(svg, x + 18, y, words, fill=colour)
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


LEGEND: list[tuple[Icon, str]] = [
    (sign(*STATES["running"]), "running"),
    (sign(*STATES["paused"]), "paused, restarting"),
    (sign(*STATES["exited"]), "exited"),
    (sign(*HEALTH["healthy"]), "healthy"),
    (sign(*HEALTH["unhealthy"]), "unhealthy"),
    (cylinder, "volume"),
    (folder, "folder of the host"),
    (tab, "published port"),
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


def line(svg: Element, path: str, colour: str, **look: object) -> None:
    add(svg, "path", d=path, stroke=colour, **{"fill": "none", "stroke_width": 2.5, **look})


def text(svg: Element, x: float, y: float, words: str, **look: object) -> None:
    if words:
        add(svg, "text", x=x, y=y, **look).text = words


def add(svg: Element, tag: str, **look: object) -> Element:
    words = {name: f"{v:g}" if isinstance(v, int | float) else str(v) for name, v in look.items()}
    return SubElement(svg, tag, {name.replace("_", "-"): v for name, v in words.items()})
