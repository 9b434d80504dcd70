"""Pure: the page as HTML, which needs nothing but itself, and no script to be read."""

from __future__ import annotations

import base64
import functools
import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from importlib import resources

from zipstrap.bench.figures import Spread
from zipstrap.inspection import size_text

from .archive_section import archive_section, treemap_data
from .markup import (
    choices,
    counted,
    decimal,
    embedded_json,
    escaped,
    milliseconds,
    percent,
    swatch,
    table_head,
)
from .model import NOT_FOUND, Check, OnDisk, Page, Room, Start, TimedModule

__all__ = ["is_page", "page_to_html"]

#: by this a page that we made is known
_GENERATOR = '<meta name="generator" content="zipstrap '

#: files that are listed of one reason
_MOST_FILES = 1000

#: what each origin is, and a letter, so that none is told by its colour alone
_ORIGINS = {
    "archive": ("A", "in the archive"),
    "frozen": ("F", "frozen into the interpreter"),
    "builtin": ("B", "built into the interpreter"),
    "dynload": ("L", "an extension module of the tree"),
    "directory": ("D", "a file in the tree"),
    "foreign": ("!", "from outside the tree"),
    NOT_FOUND: ("–", "looked for, and not there"),
}

_STATUS = {
    "failed": ("✗", "failed"),
    "warned": ("!", "warned"),
    "consequence": ("↳", "follows"),
    "not run": ("–", "not run"),
    "passed": ("✓", "passed"),
}

_MODES = {
    "plain": "as users start it",
    "-I": "isolated: no environment, no user site",
    "-S": "without site",
    "-I -S": "isolated, without site",
    "-E": "without the environment",
    "-X frozen_modules=off": "the library's own copies instead of the frozen ones",
}

_ROOMS = {
    "archive": "archives",
    "shared library": "shared libraries",
    "extension": "extension modules",
    "source": "sources",
    "bytecode": "bytecode as files",
    "data": "data",
    "executable": "executable",
    "launcher": "its launcher",
    "hook": "start-up hooks",
}


# ---- the page --------------------------------------------------------------------------------------------


@functools.cache
def _resource(name: str) -> str:
    return resources.files("zipstrap.data").joinpath(name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def page_to_html(page: Page) -> str:
    """Return *page* as an HTML document."""
    style, script = "\n" + _resource("report.css"), "\n" + _resource("report.js")
    policy = (
        f"default-src 'none'; style-src '{_digest(style)}'; script-src '{_digest(script)}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    sections = [section for section in _sections(page) if section[2]]
    parts = [
        '<!DOCTYPE html>\n<html lang="en">\n<head>',
        '<meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta name="color-scheme" content="light dark">',
        '<meta name="referrer" content="no-referrer">',
        _GENERATOR + escaped(page.made_by.removeprefix("zipstrap ")) + '">',
        f"<title>{escaped(page.name)}: {escaped(page.title)}</title>",
        '<link rel="icon" href="data:,">',
        f"<style>{style}</style>",
        "</head>\n<body>",
        '<a class="skip" href="#main">Skip to the report</a>',
        _PATTERNS,
        *_header(page),
        '<nav class="contents" aria-label="Contents"><ul>',
        *(f'<li><a href="#{name}">{title}</a></li>' for name, title, _ in sections),
        "</ul></nav>",
        '<main id="main" tabindex="-1">',
    ]
    for name, title, lines in sections:
        parts += [
            f'<section id="{name}" aria-labelledby="{name}-title">',
            f'<h2 id="{name}-title">{title}</h2>',
            *lines,
            "</section>",
        ]
    parts += [
        "</main>",
        f"<footer><p>Made by {escaped(page.made_by)}. This page loads nothing, and sends nothing.</p>",
        "</footer>",
    ]
    if page.archive is not None and len(page.archive.nodes) > 1:
        data = embedded_json(treemap_data(page.archive))
        parts += [
            f'<script type="application/json" id="treemap-data">{data}</script>',
            f"<script>{script}</script>",
        ]
    return "\n".join([*parts, "</body>\n</html>"]) + "\n"


def _sections(page: Page) -> Iterator[tuple[str, str, list[str]]]:
    problems = [check for check in page.checks if check.status in ("failed", "warned")]
    yield "problems", "What is wrong", [line for check in problems for line in _problem(check)]
    yield "size", "Size", list(_size(page))
    yield "start", "The start", list(_starts(page))
    yield "disk", "On disk, and why", list(_disk(page))
    yield "checks", "Checks", list(_checks(page))
    yield "facts", "Facts", list(_facts(page))


def _pattern(name: str, size: int, ground: str, marks: str, turn: int = 0) -> str:
    turned = f' patternTransform="rotate({turn})"' if turn else ""
    return (
        f'<pattern id="{name}" width="{size}" height="{size}" patternUnits="userSpaceOnUse"{turned}>'
        f'<rect class="{ground}" width="{size}" height="{size}"/>{marks}</pattern>'
    )


def _patterns() -> Iterator[str]:
    stroke = '<path class="{}" d="M0 0V{}"/>'.format
    dot = '<circle class="{}" cx="3" cy="3" r="1"/>'.format
    yield _pattern("source", 6, "d-source", stroke("mark", 6), 45)
    yield _pattern("data", 6, "d-data", dot("dot-mark"))
    yield _pattern("extension", 6, "d-extension", stroke("mark", 6))
    yield _pattern("frozen", 6, "d-frozen", stroke("hatch", 6), 45)
    yield _pattern("builtin", 6, "d-builtin", dot("dot"))
    yield _pattern("dynload", 6, "d-dynload", stroke("hatch", 6))
    yield _pattern("directory", 6, "d-directory", stroke("hatch", 6), 135)
    yield _pattern("foreign", 8, "d-foreign", '<path class="hatch" d="M0 0V8M0 0H8"/>', 45)
    for name, ground, marks, turn in (
        ("k1", "d-bytecode", stroke("mark", 6), 45),
        ("k2", "d-source", stroke("mark", 6), 0),
        ("k3", "d-data", dot("dot-mark"), 0),
        ("k4", "d-line", stroke("mark", 6), 135),
        ("k5", "d-package", stroke("mark", 6), 90),
    ):
        yield _pattern(name, 6, ground, marks, turn)


_PATTERNS = (
    '<svg class="defs" aria-hidden="true" focusable="false"><defs>' + "".join(_patterns()) + "</defs></svg>"
)


def _header(page: Page) -> Iterator[str]:
    yield '<header><p class="eyebrow">zipstrap report on ' + f"<bdi>{escaped(page.name)}</bdi></p>"
    yield f"<h1>{escaped(page.title)}</h1>"
    yield f'<p class="about">{escaped(page.about)}</p>'
    yield _verdict(page)
    tiles = list(_tiles(page))
    if tiles:
        yield '<dl class="tiles">'
        for name, value, more in tiles:
            yield f'<div><dt>{name}</dt><dd>{value}</dd><dd class="more">{more}</dd></div>'
        yield "</dl>"
    yield "</header>"


def _verdict(page: Page) -> str:
    verdict = page.verdict
    if verdict.passed is None:
        kind, sign, word = "plain", "✓", "Well formed"
    elif not verdict.passed:
        kind, sign, word = "bad", "✗", "Not verified"
    elif verdict.in_part:
        kind, sign, word = "warn", "!", "Verified in part"
    elif verdict.codes:
        kind, sign, word = "warn", "!", "Verified, with warnings"
    else:
        kind, sign, word = "good", "✓", "Verified"
    codes = ", ".join(f'<a href="#{escaped(code)}">{escaped(code)}</a>' for code in verdict.codes)
    more = f"<span>{codes}</span>" if codes else ""
    return (
        f'<p class="verdict {kind}"><strong><span aria-hidden="true">{sign}</span> {word}</strong>'
        f"<span>{escaped(verdict.text)}</span>{more}</p>"
    )


def _tiles(page: Page) -> Iterator[tuple[str, str, str]]:
    if page.rooms:
        total = sum(room.size for room in page.rooms)
        files = sum(room.files for room in page.rooms)
        yield "whole tree", size_text(total), counted(files, "file")
    if page.archive is not None:
        root = page.archive.nodes[0]
        more = counted(root.files, "member")
        if page.archive.is_compressed:
            more += f", {percent(root.packed, root.size)} of {size_text(root.size)}"
        yield "archive", size_text(page.archive.size), more
    first = next((start for start in page.starts if start.cpu is not None), None)
    if first is not None and first.cpu is not None:
        # of the time that elapses, what else the machine does takes its part; the table has both
        yield "a start", f"{first.cpu.median:.1f} ms", f"of the processor, the median of {page.runs}"
    loaded = next((start for start in page.starts if start.status == "ran"), None)
    if loaded is not None:
        total = sum(loaded.origins.values())
        foreign = loaded.origins.get("foreign", 0)
        kept = f"{loaded.origins.get('archive', 0)} of them from the archive"
        more = f"{foreign} of them from elsewhere" if foreign else f"{kept}, none from elsewhere"
        yield "modules at a start", str(total), more


# ---- size ------------------------------------------------------------------------------------------------


def _size(page: Page) -> Iterator[str]:
    if page.rooms:
        yield from _rooms(page.rooms)
    if page.archive is None:
        if page.archive_problem:
            yield "<h3>The archive</h3>"
            yield f'<p>It cannot be shown: <span class="path">{escaped(page.archive_problem)}</span></p>'
        return
    yield f'<h3>What is in <bdi class="path">{escaped(page.archive.name)}</bdi></h3>'
    yield from archive_section(page.archive)


def _rooms(rooms: Sequence[Room]) -> Iterator[str]:
    total = sum(room.size for room in rooms)
    yield "<p>What the files of the tree are, by the room they take, as its manifest says.</p>"
    yield '<svg class="bar" aria-hidden="true" focusable="false">'
    at = 0.0
    for number, room in enumerate(rooms):
        part = 100 * room.size / total if total else 0
        yield f'<rect class="k{min(number, 6)}" x="{decimal(at)}%" width="{decimal(part)}%" height="100%"/>'
        at += part
    yield "</svg>"
    yield from table_head(
        "Files of the tree by kind",
        (("kind", ""), ("files", "number"), ("size", "number"), ("share", "number")),
        "compact",
    )
    for number, room in enumerate(rooms):
        name = _ROOMS.get(room.kind, room.kind)
        yield (
            f'<tr><th scope="row"><span class="badge">{swatch(f"k{min(number, 6)}")}{escaped(name)}</span>'
            "</th>"
            f'<td class="number">{room.files}</td><td class="number">{size_text(room.size)}</td>'
            f'<td class="number">{percent(room.size, total)}</td></tr>'
        )
    yield "</tbody></table>"


# ---- the start -------------------------------------------------------------------------------------------


def _starts(page: Page) -> Iterator[str]:
    if page.starts_problem:
        yield f"<p>{escaped(page.starts_problem)}</p>"
    if not page.starts:
        return
    yield (
        "<p>From where the modules of a start come, as two witnesses say it: the loaders themselves, and the "
        "log of <code>-v</code>.</p>"
    )
    yield _origin_legend(page.starts)
    yield from _mode_table(page)
    timed = [start for start in page.starts if start.modules]
    if not timed:
        return
    yield "<h3>Import by import</h3>"
    yield f"<p>{_how_measured(page)}</p>"
    yield '<div class="switch">'
    if len(timed) > 1:
        yield choices("Mode", "mode", [start.mode for start in timed])
    longest = max(start.length for start in timed)
    for number, start in enumerate(timed):
        yield f'<div class="panel p{number}">'
        yield from _waterfall(start, longest)
        yield "</div>"
    yield "</div>"


def _origin_legend(starts: Sequence[Start]) -> str:
    there = {origin for start in starts for origin in start.origins}
    there |= {module.origin for start in starts for module in start.modules}
    items = "".join(
        f"<li>{swatch(f'o-{_slug(origin)}')}<span>{letter} · {escaped(origin)}: {about}</span></li>"
        for origin, (letter, about) in _ORIGINS.items()
        if origin in there
    )
    return f'<ul class="legend">{items}</ul>'


def _slug(text: str) -> str:
    return text.replace(" ", "-")


def _mode_table(page: Page) -> Iterator[str]:
    timed = any(start.elapsed is not None for start in page.starts)
    times = (("elapsed, ms", "number"), ("processor, ms", "number wide-only")) if timed else ()
    yield from table_head(
        "Starts by mode" + (f", median and quartiles of {page.runs}" if timed else ""),
        (("mode", ""), *times, ("modules by origin", ""), ("their shares", "share-cell wide-only")),
        "starts",
    )
    most = max((sum(start.origins.values()) for start in page.starts), default=0)
    for start in page.starts:
        about = _MODES.get(start.mode, "")
        yield (
            f'<tr><th scope="row"><code>{escaped(start.mode)}</code>'
            f'<span class="note wide-only"> {about}</span></th>'
        )
        if timed:
            yield f'<td class="number">{_spread(start.elapsed)}</td>'
            yield f'<td class="number wide-only">{_spread(start.cpu)}</td>'
        yield f"<td>{_what_started(start)}</td>"
        yield f'<td class="share-cell wide-only">{_origin_bar(start, most)}</td></tr>'
    yield "</tbody></table>"


def _spread(spread: Spread | None) -> str:
    if spread is None:
        return "–"
    return f'{spread.median:.1f}<br><span class="note">{spread.low:.1f} to {spread.high:.1f}</span>'


def _what_started(start: Start) -> str:
    if start.status != "ran":
        return f"<strong>{escaped(start.status)}</strong>: {escaped(start.reason)}"
    counts = [
        f"{start.origins[origin]}\u00a0{escaped(origin)}" for origin in _ORIGINS if start.origins.get(origin)
    ]
    total = sum(start.origins.values())
    agreed = "" if start.agreed == total else f"; the witnesses agree on {start.agreed} of {total}"
    problem = f"; not timed: {escaped(start.problem)}" if start.problem else ""
    return ", ".join(counts) + agreed + problem


def _origin_bar(start: Start, most: int) -> str:
    parts = []
    at = 0.0
    for origin in _ORIGINS:
        number = start.origins.get(origin, 0)
        if number:
            part = 100 * number / most
            parts.append(
                f'<rect class="o-{_slug(origin)}" x="{decimal(at)}%" width="{decimal(part)}%" height="100%"/>'
            )
            at += part
    return f'<svg class="bar" aria-hidden="true" focusable="false">{"".join(parts)}</svg>' if parts else ""


def _how_measured(page: Page) -> str:
    on = ", ".join(f"{escaped(name)} {escaped(value)}" for name, value in page.machine.items())
    return (
        f"Measured by <code>-X importtime</code> in {page.runs} starts of each mode, which run "
        "<code>-B -c pass</code>; of each import the least, for what else a machine does only adds. "
        "The option makes a start a little slower, and it tells durations, not moments: here each import "
        "begins where the one before it ended, with its own time first and then what it imported. "
        f'<span class="muted">On: {on}.</span>'
    )


def _waterfall(start: Start, longest: float) -> Iterator[str]:
    own: Counter[str] = Counter()
    for module in start.modules:
        own[module.origin] += round(module.bar.own)
    shares = ", ".join(f"{milliseconds(own[origin])} {escaped(origin)}" for origin in _ORIGINS if own[origin])
    yield '<table class="flow">'
    yield (
        f"<caption>{escaped(start.mode)}: {counted(len(start.modules), 'import')} in "
        f"{milliseconds(start.length)} ms, by origin {shares}</caption>"
    )
    yield (
        '<thead><tr><th scope="col" class="c-module">module</th><th scope="col" class="c-origin">'
        '<span class="badge"><span class="word">origin</span></span></th>'
        '<th scope="col" class="c-time number">own, ms</th>'
        '<th scope="col" class="c-time number">in all, ms</th>'
        f'<th scope="col">0 to {milliseconds(longest)} ms</th></tr></thead><tbody>'
    )
    for module in start.modules:
        yield _flow_row(module, longest)
    yield "</tbody></table>"
    if start.untimed:
        names = ", ".join(f"<code>{escaped(name)}</code>" for name in start.untimed)
        yield (
            '<p class="note">Also loaded, before imports are timed or under another name of a module above: '
            f"{names}.</p>"
        )


def _flow_row(module: TimedModule, longest: float) -> str:
    bar = module.bar
    letter = _ORIGINS[module.origin][0]
    slug = _slug(module.origin)
    at, own, inner = (100 * value / longest if longest else 0 for value in (bar.start, bar.own, bar.inner))
    rest = ""
    if bar.inner:
        rest = f'<rect class="inner" x="{decimal(at + own)}%" y="5" width="{decimal(inner)}%" height="6"/>'
    place = ""
    if module.place and module.origin != "archive":  # there the name says it
        place = f'<span class="place path">{escaped(module.place)}</span>'
    indent = f' class="i{min(bar.depth, 6)}"' if bar.depth else ""
    return (
        f'<tr><th scope="row"{indent}><bdi>{escaped(bar.module)}</bdi>{place}</th>'
        f'<td><span class="badge">{swatch(f"o-{slug}")}<b aria-hidden="true">{letter}</b>'
        f'<span class="word">{escaped(module.origin)}</span></span></td>'
        f'<td class="number">{milliseconds(bar.own)}</td><td class="number">{milliseconds(bar.total)}</td>'
        f'<td><svg class="line" aria-hidden="true" focusable="false">{rest}'
        f'<rect class="o-{slug}" x="{decimal(at)}%" y="2" width="{decimal(max(own, 0.15))}%" height="12"/>'
        "</svg></td></tr>"
    )


# ---- on disk ---------------------------------------------------------------------------------------------


def _disk(page: Page) -> Iterator[str]:
    if not page.on_disk:
        return
    total = sum(group.size for group in page.on_disk)
    files = sum(len(group.files) for group in page.on_disk)
    number = counted(files, "file, link or folder", "files, links and folders")
    yield (
        f"<p>{size_text(total)} in {number}, besides the library's archive and the manifest, which names "
        "each of them with its reason.</p>"
    )
    yield from table_head(
        "Files on disk by reason",
        (("reason", ""), ("files", "number"), ("size", "number"), ("share", "share-cell wide-only")),
    )
    for group in page.on_disk:
        part = 100 * group.size / total if total else 0
        yield f"<tr><td>{escaped(group.reason)}<details><summary>{_first_of(group)}</summary>"
        yield '<ul class="files">'
        yield from (
            f'<li><bdi class="path">{escaped(path)}</bdi><span class="number">{size_text(size)}</span></li>'
            for path, size in group.files[:_MOST_FILES]
        )
        if len(group.files) > _MOST_FILES:
            yield f"<li>{counted(len(group.files) - _MOST_FILES, 'smaller one')}</li>"
        yield f'</ul></details></td><td class="number">{len(group.files)}</td>'
        yield f'<td class="number">{size_text(group.size)}</td>'
        yield (
            '<td class="share-cell wide-only"><svg class="share" aria-hidden="true" focusable="false">'
            '<rect class="track" width="100%" height="100%"/>'
            f'<rect class="on" width="{decimal(part)}%" height="100%"/></svg></td></tr>'
        )
    yield "</tbody></table>"
    if page.left_out:
        yield "<h3>Left out</h3>"
        yield from table_head(
            "What of the library the tree does not have", (("reason", ""), ("files", "number"))
        )
        for left in page.left_out:
            yield f"<tr><td>{escaped(left.reason)}<details><summary>"
            yield f'{escaped("".join(left.paths[:1]))}{_more(len(left.paths))}</summary><ul class="files">'
            yield from (
                f'<li><bdi class="path">{escaped(path)}</bdi></li>' for path in left.paths[:_MOST_FILES]
            )
            if len(left.paths) > _MOST_FILES:
                yield f"<li>{counted(len(left.paths) - _MOST_FILES, 'other')}</li>"
            yield f'</ul></details></td><td class="number">{len(left.paths)}</td></tr>'
        yield "</tbody></table>"
    if page.needs:
        yield "<h3>Needed of the system</h3>"
        yield '<ul class="columns">'
        yield from (f'<li class="path">{escaped(name)}</li>' for name in page.needs)
        yield "</ul>"


def _first_of(group: OnDisk) -> str:
    return f"<bdi>{escaped(group.files[0][0])}</bdi>{_more(len(group.files))}"


def _more(number: int) -> str:
    return f" and {number - 1} more" if number > 1 else ""


# ---- checks ----------------------------------------------------------------------------------------------


def _problem(check: Check) -> Iterator[str]:
    yield f'<article class="problem {_slug(check.status)}" id="{escaped(check.code)}">'
    yield f"<h3>{escaped(check.code)} {escaped(check.name)}</h3>"
    yield f"<p>It should be so, and is not: {escaped(check.title)}.</p><ul>"
    yield from (f"<li>{escaped(finding)}</li>" for finding in check.findings)
    yield "</ul>"
    yield f"<p><strong>Why.</strong> {escaped(check.cause)}</p>"
    yield f"<p><strong>What to do.</strong> {escaped(check.cure)}</p></article>"


def _checks(page: Page) -> Iterator[str]:
    if not page.checks:
        return
    yield f"<p>{escaped(page.verdict.text)}.</p>"
    yield from table_head(
        "All checks; those that did not pass come first",
        (("result", ""), ("code", ""), ("what is checked", "")),
        "checks",
    )
    for check in page.checks:
        sign, word = _STATUS[check.status]
        why = f'<span class="why">{escaped(check.reason)}</span>' if check.reason else ""
        code = escaped(check.code)
        shown = f'<a href="#{code}">{code}</a>' if check.status in ("failed", "warned") else code
        found = ""
        if check.status == "consequence" and check.findings:
            listed = "".join(f"<li>{escaped(finding)}</li>" for finding in check.findings)
            number = counted(len(check.findings), "finding")
            found = f"<details><summary>{number}</summary><ul>{listed}</ul></details>"
        yield (
            f'<tr class="{_slug(check.status)}"><td><span class="status"><b aria-hidden="true">{sign}</b>'
            f'{word}</span></td><td class="wordy">{shown}</td>'
            f"<td>{escaped(check.title)}{why}{found}</td></tr>"
        )
    yield "</tbody></table>"


# ---- facts -----------------------------------------------------------------------------------------------


def _facts(page: Page) -> Iterator[str]:
    yield '<dl class="facts">'
    for fact in page.facts:
        value = f"<code>{escaped(fact.value)}</code>" if fact.is_code else escaped(fact.value)
        yield f"<dt>{escaped(fact.name)}</dt><dd>{value}</dd>"
    yield "</dl>"
    for about, line in page.commands:
        yield f"<h3>To {escaped(about)}</h3><pre>{escaped(line)}</pre>"
    if page.rooms:
        yield (
            '<p class="note">A manifest does not tell what <code>--include</code> and <code>--exclude</code> '
            "were given; what is left out is listed above.</p>"
        )


def is_page(data: bytes) -> bool:
    """Tell whether *data*, the beginning of a file, is that of a page that we made."""
    return data.startswith(b"<!DOCTYPE html>") and _GENERATOR.encode() in data
