"""A timeline as a picture: when things happened on each host, and when each criterion was true.

Hours in which nobody was at work take no more room than a few minutes.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from xml.etree.ElementTree import Element, SubElement, tostring

from dockyard.picture.scene import MOST_THINGS
from dockyard.picture.shapes import (
    AMBER,
    BLUE,
    EDGE,
    FAINT,
    GREEN,
    GROUND,
    LINE,
    MARGIN,
    PAPER,
    RED,
    SMALL,
    Sign,
    add,
    document,
    finish,
    fit,
    image,
    line,
    text,
    width_of,
)
from dockyard.timeline import BREAK, Moment, at_work

TITLE = "What happened in the lab, and when"
#: Sizes in pixels: of the whole, and where labels end.
WIDTH, LABELS = 924, 300
#: Signs on a host's row, most telling first; all else is a small dot.
SIGNS: dict[str, Sign] = {
    "oom": ("✗", RED),
    "die": ("✗", RED),
    "unhealthy": ("!", RED),
    "pause": ("◐", AMBER),
    "start": ("●", GREEN),
}
OTHER: Sign = ("•", FAINT)
#: A day as it is written, for strftime.
DAY = "%a %d %b"
#: Of what happened within a pixel, how much is told; of all that happened, how much as a list.
MOST_TOLD, MOST_LISTED = 6, 200


@dataclass(frozen=True)
class Strip:
    """Moments, in their order, as a picture and as a list.

    Attributes:
        titles: criterion → its sentence, for those that are shown, in their order.
    """

    moments: Sequence[Moment]
    titles: Mapping[str, str]

    def __repr__(self) -> str:
        return "\n".join(self.lines())

    def _repr_html_(self) -> str:
        page = Element("div")
        page.append(self._image())
        rest = SubElement(page, "details")
        SubElement(rest, "summary").text = "The same as a list"
        for each in self.lines():
            SubElement(rest, "div").text = each
        return tostring(page, "unicode")

    def as_image(self) -> str:
        """The picture as an element of HTML."""
        return tostring(self._image(), "unicode")

    def _image(self) -> Element:
        return image(self.draw(), "\n".join([TITLE, *self.lines()]))

    def lines(self) -> list[str]:
        """The youngest moments in words, youngest first."""
        lines = [f"{self._when(each)} {self._words(each)}" for each in reversed(self.moments)]
        beyond = len(lines) - MOST_LISTED
        return [*lines[:MOST_LISTED], f"and {beyond} earlier"] if beyond > 0 else lines

    def _when(self, moment: Moment) -> str:
        """With the day, where that is not the last one."""
        day = _time(moment, DAY)
        return _time(moment) if day == _time(self.moments[-1], DAY) else f"{day} {_time(moment)}"

    def _words(self, moment: Moment) -> str:
        if moment.kind == "criterion":
            return f"{moment.action}: {self.titles.get(moment.name, moment.name)}"
        if moment.kind == "hint":
            return f"hint for: {self.titles.get(moment.name, moment.name)}"
        return str(moment)

    def draw(self) -> str:
        """An SVG document: a row for each host, and one for each criterion."""
        svg = document(TITLE, "\n".join(self.lines()))
        ground = add(svg, "rect", width=WIDTH, rx=10, fill=GROUND)
        times = at_work(self.moments)
        scale = (WIDTH - MARGIN - LABELS) / max(times[-1] if times else 0.0, 1.0)
        placed = [(LABELS + scale * t, each) for t, each in zip(times, self.moments, strict=True)]
        _clock(svg, placed)
        y = float(MARGIN + LINE)
        for host in sorted({each.host for each in self.moments if each.host})[:MOST_THINGS]:
            y += LINE
            _host(svg, [(x, each) for x, each in placed if each.host == host], host, y)
        y += 6
        for id_, title in self.titles.items():
            y += LINE
            mine = [(x, each) for x, each in placed if not each.host and each.name == id_]
            _criterion(svg, mine, title, y)
        ground.set("height", f"{y + MARGIN:g}")
        return finish(svg, WIDTH, y + MARGIN)


def _time(moment: Moment, form: str = "%H:%M:%S") -> str:
    return datetime.fromtimestamp(moment.at).strftime(form)


def _clock(svg: Element, placed: Sequence[tuple[float, Moment]]) -> None:
    """When it began, when it went on after each break, and when it ended."""
    begins = [placed[:1]] if placed else []
    begins += [[there] for here, there in pairwise(placed) if there[1].at - here[1].at > BREAK]
    y, taken, day = MARGIN + SMALL, 0.0, ""
    for ((x, moment),) in begins:
        today = _time(moment, DAY)
        words = ("" if today == day else f"{today} ") + _time(moment, "%H:%M")
        end = x + width_of(words)
        if x > taken and end < WIDTH - MARGIN:
            line(svg, f"M{x:g} {y + 4}V{y + 10}", FAINT, stroke_width=1)
            text(svg, x, y, words, fill=FAINT)
            taken, day = end + 8, today
    if placed and taken < WIDTH - MARGIN - 40:
        words = _time(placed[-1][1], "%H:%M")
        text(svg, WIDTH - MARGIN, y, words, fill=FAINT, text_anchor="end")


def _host(svg: Element, happened: Sequence[tuple[float, Moment]], host: str, y: float) -> None:
    text(svg, MARGIN, y, fit(host, LABELS - MARGIN - 8), font_weight="bold")
    line(svg, f"M{LABELS} {y - 4:g}H{WIDTH - MARGIN}", EDGE, stroke_width=1)
    at_once = defaultdict[float, list[Moment]](list)
    for x, moment in happened:
        at_once[float(round(x))].append(moment)
    for x, those in at_once.items():
        told = {each.action for each in those} | {each.note for each in those}
        sign, colour = next((SIGNS[each] for each in SIGNS if each in told), OTHER)
        mark = _mark(svg, x, y, sign, colour)
        beyond = len(those) - MOST_TOLD
        words = [f"{_time(each)} {each}" for each in those[:MOST_TOLD]]
        words += [f"and {beyond} more"] if beyond > 0 else []
        SubElement(mark, "title").text = "\n".join(words)


def _criterion(svg: Element, mine: Sequence[tuple[float, Moment]], title: str, y: float) -> None:
    """A bar for as long as it was true, a cross where it was so no longer, and hints."""
    turns = [(x, each) for x, each in mine if each.kind == "criterion"]
    is_true = bool(turns) and turns[-1][1].action == "true"
    sign, colour = ("✓", GREEN) if is_true else ("○", FAINT)
    text(svg, MARGIN, y, sign, fill=colour)
    text(svg, MARGIN + 18, y, fit(title, LABELS - MARGIN - 26))
    ends = [*(x for x, _ in turns[1:]), float(WIDTH - MARGIN)]
    for (x, turn), end in zip(turns, ends, strict=False):
        if turn.action == "true":
            width = max(end - x, 2.0)
            bar = add(svg, "rect", x=x, y=y - 10, width=width, height=12, rx=3, fill=GREEN)
            if width > 14:
                text(svg, x + 3, y, "✓", fill=PAPER)
        else:
            bar = _mark(svg, x, y, "✗", RED)
        SubElement(bar, "title").text = f"{_time(turn)} {turn.action}: {title}"
    for x, hint in mine:
        if hint.kind == "hint":
            mark = _mark(svg, x, y, "?", BLUE)
            SubElement(mark, "title").text = f"{_time(hint)} hint for: {title}"


def _mark(svg: Element, x: float, y: float, sign: str, colour: str) -> Element:
    mark = add(svg, "text", x=x, y=y, fill=colour, text_anchor="middle", font_weight="bold")
    mark.text = sign
    return mark
