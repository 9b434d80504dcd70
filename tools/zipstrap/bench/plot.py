"""Pure: the report as a picture, medians and quartiles of the ratios, in SVG."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from xml.sax.saxutils import escape

from .cases import BASE, Condition
from .figures import Spread
from .report import BenchReport, CaseReport

__all__ = ["bench_to_svg"]

#: in pixels: the line of a column, the gap between cases, the names at the left, the figures at the right
_LINE, _GAP, _LEFT, _RIGHT, _PLOT, _TOP = 16, 34, 130, 60, 520, 64

#: Okabe and Ito's colours, which the colour-blind tell apart: better than the base, worse, as chance would
_BETTER, _WORSE, _EVEN = "#0072b2", "#d55e00", "#666666"


def bench_to_svg(report: BenchReport) -> str:
    """Return *report* as an SVG text: for each case a line for each column, the base at 1."""
    cases = [(case, lines) for case in report.cases if (lines := _lines(case))]
    values = [edge for _, lines in cases for _, spread in lines for edge in (spread.low, spread.high)]
    scale = _Scale(min([0.9, *values]), max([1.1, *values]))
    height = _TOP + sum(_GAP + _LINE * len(lines) for _, lines in cases) + 24
    width = _LEFT + _PLOT + _RIGHT
    title = f"{report.target}: time by that of the unpacked library"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="11" role="img">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        f'<text x="10" y="20" font-size="15">{escape(title)}</text>',
        f'<text x="10" y="38" fill="#555555">median and quartiles of {report.pairs} pairs; CPU time, '
        "and elapsed time where the storage is cold or slow; logarithmic scale</text>",
        *_axis(scale, height),
    ]
    at = _TOP
    for case, lines in cases:
        at += _GAP
        parts.append(f'<text x="10" y="{at - 12}" font-weight="bold">{escape(_called(case))}</text>')
        for name, spread in lines:
            parts += _line(name, spread, scale, at)
            at += _LINE
    return "\n".join([*parts, "</svg>"]) + "\n"


class _Scale:
    """A logarithmic axis: 0.5 and 2 are as far from 1."""

    def __init__(self, low: float, high: float) -> None:
        self.low, self.high = low * 0.97, high * 1.03

    def __call__(self, value: float) -> float:
        part = math.log(value / self.low) / math.log(self.high / self.low)
        return round(_LEFT + _PLOT * part, 1)

    def ticks(self) -> list[float]:
        """Return round values that lie on the axis, 1 among them, and not too many."""
        fine = [number / 20 for number in range(1, 201)]
        for some in (
            fine,
            [number / 10 for number in range(1, 101)],
            [0.1, 0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3, 5, 10],
        ):
            found = [value for value in some if self.low <= value <= self.high]
            if len(found) <= 11:
                break
        return found


def _lines(case: CaseReport) -> list[tuple[str, Spread]]:
    waits = case.condition in (Condition.COLD, Condition.SLOW)
    spreads = ((name, cell.elapsed if waits else cell.cpu) for name, cell in case.cells.items())
    return [(name, spread) for name, spread in spreads if spread is not None and name != BASE]


def _called(case: CaseReport) -> str:
    return f"{case.about} ({case.row}, {case.condition})"


def _axis(scale: _Scale, height: int) -> Iterator[str]:
    for value in scale.ticks():
        x = scale(value)
        colour = "#333333" if value == 1 else "#dddddd"
        yield f'<line x1="{x}" y1="{_TOP - 6}" x2="{x}" y2="{height - 12}" stroke="{colour}"/>'
        yield f'<text x="{x}" y="{_TOP - 10}" text-anchor="middle">{value:g}</text>'


def _line(name: str, spread: Spread, scale: _Scale, at: int) -> Sequence[str]:
    colour = _EVEN if spread.low <= 1 <= spread.high else _BETTER if spread.high < 1 else _WORSE
    y = at + 4
    return (
        f'<text x="{_LEFT - 8}" y="{at + 8}" text-anchor="end">{escape(name)}</text>',
        f'<line x1="{scale(spread.low)}" y1="{y}" x2="{scale(spread.high)}" y2="{y}" '
        f'stroke="{colour}" stroke-width="3"/>',
        f'<circle cx="{scale(spread.median)}" cy="{y}" r="4" fill="{colour}"/>',
        f'<text x="{_LEFT + _PLOT + 6}" y="{at + 8}">{spread.median:.3f}</text>',
    )
