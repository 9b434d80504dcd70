"""Pure: text, numbers and small pieces of HTML, in which nothing that is text is taken for markup."""

from __future__ import annotations

import html
import json
import unicodedata
from collections.abc import Iterable, Iterator, Sequence

__all__ = [
    "choices",
    "counted",
    "decimal",
    "embedded_json",
    "escaped",
    "milliseconds",
    "percent",
    "plain",
    "shortened",
    "swatch",
    "table_head",
    "width_of",
]


def plain(text: str) -> str:
    """Return *text* with control and direction characters made visible: they change how a page reads."""
    return "".join(_visible(character) for character in text)


def _visible(character: str) -> str:
    if character.isascii():
        return character if character >= " " and character != "\x7f" else f"\\x{ord(character):02x}"
    if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"):
        return f"\\u{ord(character):04x}"
    return character


def escaped(text: str) -> str:
    """Return *text* as it stands in HTML, in an attribute too."""
    return html.escape(plain(text), quote=True)


def embedded_json(value: object) -> str:
    """Return *value* as JSON that can stand in a script element: nothing in it ends or opens one."""
    text = json.dumps(value, ensure_ascii=True, separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def decimal(value: float) -> str:
    """Return *value* with at most two decimals, as attributes of SVG have it."""
    return f"{value:.2f}".rstrip("0").rstrip(".") or "0"


def percent(part: float, whole: float) -> str:
    """Return which share of *whole* a *part* is."""
    return f"{100 * part / whole:.1f} %" if whole else "–"


def milliseconds(microseconds: float) -> str:
    """Return *microseconds* in ms."""
    return f"{microseconds / 1000:.2f}"


def counted(number: int, one: str, many: str = "") -> str:
    """Return *number* with *one* or *many* of what is counted."""
    return f"{number:,} {one if number == 1 else many or one + 's'}".replace(",", "\u202f")


def width_of(text: str) -> float:
    """Return about how wide *text* is in letters of 12 pixels, rather more than less."""
    return sum(
        13.0 if unicodedata.east_asian_width(each) in "WF" or ord(each) > 0xFFFF else 7.0 for each in text
    )


def shortened(text: str, width: float) -> str:
    """Return as much of *text* as fits into *width* pixels, nothing if that is too little to be read."""
    if width_of(text) <= width:
        return text
    room = width - 10
    kept = ""
    for character in text:
        room -= width_of(character)
        if room < 0:
            break
        kept += character
    return f"{kept}…" if len(kept) >= 3 else ""


def choices(legend: str, name: str, texts: Sequence[str]) -> str:
    """Return radio buttons, the first of them checked; the style sheet shows the panel that is chosen."""
    items = "".join(
        f'<label class="choice"><input type="radio" class="s{number}" name="{name}" '
        f"{'checked' if not number else ''}>{escaped(text)}</label>"
        for number, text in enumerate(texts)
    )
    return f'<fieldset class="choices"><legend>{legend}</legend>{items}</fieldset>'


def swatch(kind: str) -> str:
    """Return a small square with the pattern of the class *kind*."""
    return (
        '<svg class="swatch" width="14" height="14" aria-hidden="true" focusable="false">'
        f'<rect class="{kind}" width="14" height="14" rx="2"/></svg>'
    )


def table_head(caption: str, columns: Iterable[tuple[str, str]], kind: str = "") -> Iterator[str]:
    """Yield the beginning of a table: *columns* are headings and their classes, *kind* is its own class."""
    yield f'<table class="{kind}">' if kind else "<table>"
    yield f"<caption>{escaped(caption)}</caption><thead><tr>"
    for name, style in columns:
        yield f'<th scope="col" class="{style}">{name}</th>' if style else f'<th scope="col">{name}</th>'
    yield "</tr></thead><tbody>"
