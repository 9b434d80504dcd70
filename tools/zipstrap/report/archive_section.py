"""Pure: what is in an archive, as pictures that a script lets people walk through, and as tables."""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from zipstrap.inspection import size_text

from .markup import (
    choices,
    counted,
    decimal,
    escaped,
    percent,
    plain,
    shortened,
    swatch,
    table_head,
    width_of,
)
from .model import ArchiveFigures
from .treemap import Box, Cell, Node, inset, lay_out

__all__ = ["archive_section", "treemap_data"]

#: rows of the table of all members; ``inspect --tree`` has no such limit
_MOST_ROWS = 4000

#: what a pattern stands for: its class, words, and kinds of nodes
_LEGEND = (
    ("t-package", "package or folder", {"package", "folder"}),
    ("t-bytecode", "module", {"module", "bytecode"}),
    ("t-source", "source", {"module", "source"}),
    ("t-extension", "extension module", {"extension"}),
    ("t-data", "data", {"data"}),
)

# what a treemap shows: of a node, its room in the archive, or its own size
_MEASURES: tuple[tuple[str, Callable[[Node], float]], ...] = (
    ("room in the archive", lambda node: node.packed),
    ("size unpacked", lambda node: node.size),
)

#: a picture for wide and one for narrow screens: width and height in pixels; the width is about right, and
#: cells cut off what does not fit where there is less of it
_SHAPES = (("wide", 1000.0, 540.0), ("narrow", 360.0, 620.0))


def _measures(archive: ArchiveFigures) -> Sequence[tuple[str, Callable[[Node], float]]]:
    return _MEASURES if archive.is_compressed else _MEASURES[:1]


def archive_section(archive: ArchiveFigures) -> Iterator[str]:
    """Yield what the page says of *archive*, without a heading."""
    root = archive.nodes[0]
    methods = ", ".join(
        f"{counted(number, 'member')} {escaped(name)}" for name, number in archive.methods.items()
    )
    yield (
        f"<p>{size_text(archive.size)}: {methods or 'no members'}, and {size_text(archive.overhead)} for "
        "names and the directory.</p>"
    )
    if not root.files:
        return
    kinds = Counter[str]()
    for node in archive.nodes[1:]:
        if not node.children:
            kinds[node.kind] += node.packed
    yield (
        '<p class="note">Of it '
        + ", ".join(f"{kind} {size_text(size)}" for kind, size in kinds.most_common())
        + ".</p>"
    )
    if not archive.is_compressed:
        yield '<p class="note">Nothing in it is compressed: each member takes its own size.</p>'
    yield '<figure><nav class="trail" aria-label="Place in the archive" hidden><ol></ol>'
    yield (
        '<span class="note">Arrow keys move, from the largest on; Enter opens; Escape goes back</span></nav>'
    )
    yield '<div class="switch">'
    measures = _measures(archive)
    if len(measures) > 1:
        yield choices("Areas show", "measure", [name for name, _ in measures])
    view = 0
    for number, (about, weigh) in enumerate(measures):
        yield f'<div class="panel p{number}">'
        if len(measures) > 1:
            yield f'<p class="printed">Areas show {about}.</p>'
        for shape in _SHAPES:
            yield from _treemap(archive, about, weigh, view, shape)
            view += 1
        yield "</div>"
    yield "</div>"
    yield '<p class="pointed" aria-hidden="true">Point at a cell to see what it is.</p>'
    yield '<ul class="legend">'
    there = {node.kind for node in archive.nodes[1:]}
    for style, about, kinds_of_it in _LEGEND:
        if kinds_of_it & there:
            yield f"<li>{swatch(style)}{about}</li>"
    yield "</ul>"
    yield (
        "<figcaption>Each area is in proportion to its bytes; a package shows its parts where there is room. "
        "The tables below have the same figures.</figcaption></figure>"
    )
    yield from _package_table(archive)
    yield from _member_table(archive)


def _title(node: Node, archive: ArchiveFigures) -> str:
    """Return what is said of *node*, one sentence without its name's markup."""
    root = archive.nodes[0]
    parts = [f"{node.kind}, {counted(node.files, 'file')}" if node.children else node.kind]
    if archive.is_compressed:
        parts.append(f"{size_text(node.packed)} in the archive, {size_text(node.size)} unpacked")
    else:
        parts.append(size_text(node.size))
    parts.append(percent(node.packed, root.packed))
    return f"{plain(node.path.rstrip('/'))}: {', '.join(parts)}"


def _inner(node: Node, box: Box) -> Box | None:
    return box if node.kind == "module" else inset(box, top=20, margin=3, least=14)


def _label(node: Node, box: Box, weigh: Callable[[Node], float]) -> tuple[int, str, str]:
    """Return how many lines of a label fit into *box*, the name as it fits, and the size."""
    width = box.width - 12
    name = shortened(plain(node.name), width) if box.height >= 19 else ""
    size = size_text(int(weigh(node)))
    if not name:
        return 0, "", ""
    return (2 if box.height >= 38 and width_of(size) <= width else 1), name, size


def _treemap(
    archive: ArchiveFigures,
    about: str,
    weigh: Callable[[Node], float],
    view: int,
    shape: tuple[str, float, float],
) -> Iterator[str]:
    name, width, height = shape
    nodes = archive.nodes
    inner = _inner if name == "wide" else None
    cells = lay_out(nodes, 0, Box(0, 0, width, height), weigh, inner=inner)
    within: dict[int, list[Cell]] = {}
    for cell in cells:
        if cell.depth == 2:
            within.setdefault(nodes[cell.number].parent or 0, []).append(cell)
    yield (
        f'<svg class="treemap {name}" data-view="{view}" height="{decimal(height)}" role="img" '
        f'aria-label="Treemap of the archive, by {about}" focusable="false"><g class="top"><g>'
    )
    outer = [cell for cell in cells if cell.depth == 1]
    for cell in outer:
        node = nodes[cell.number]
        yield (
            f'<rect class="cell {node.kind}" data-n="{cell.number}" {_place(cell.box, width)}>'
            f"<title>{html.escape(_title(node, archive))}</title></rect>"
        )
    # what is written lies above the cells, not in them: it may be cut off, and a cell has a name of its own
    yield '</g><g class="over" aria-hidden="true">'
    for cell in outer:
        yield _lettering(cell, nodes, weigh, within.get(cell.number, ()), width)
    yield '</g></g><g class="zoom"><g></g><g class="over" aria-hidden="true"></g></g></svg>'


def _lettering(
    cell: Cell, nodes: Sequence[Node], weigh: Callable[[Node], float], within: Sequence[Cell], width: float
) -> str:
    """Return what is drawn on a cell: the cells *within* it, and labels, cut off where they do not fit."""
    node, box = nodes[cell.number], cell.box
    parts = []
    for inside in within:
        if inside.box.area < 12:
            continue
        at = Box(inside.box.x - box.x, inside.box.y - box.y, inside.box.width, inside.box.height)
        parts.append(f'<rect class="in-{nodes[inside.number].kind}" {_place(at, box.width)}/>')
        fitting, short, _ = _label(nodes[inside.number], inside.box, weigh)
        if fitting and node.kind != "module":
            x, y = decimal(100 * at.x / box.width), decimal(at.y + 15)
            parts.append(f'<text class="more" x="{x}%" dx="6" y="{y}">{html.escape(short)}</text>')
    lines, name, size = _label(node, box, weigh)
    if lines:
        nested = bool(within) and node.kind != "module"
        strong = ' class="head"' if node.children and node.kind != "module" else ""
        both = f"{name}\u2002{size}"
        if nested and name == plain(node.name) and width_of(both) <= box.width - 12:
            name = both
        parts.append(f'<text{strong} x="6" y="{15 if nested else 16}">{html.escape(name)}</text>')
        if lines > 1 and not nested:
            parts.append(f'<text class="more" x="6" y="31">{size}</text>')
    return f'<svg class="{node.kind}" {_place(box, width)}>{"".join(parts)}</svg>' if parts else ""


def _place(box: Box, width: float) -> str:
    """Return *box* as attributes: across in parts of *width*, to grow with the page, and down in pixels."""
    x, across = decimal(100 * box.x / width), decimal(100 * box.width / width)
    return f'x="{x}%" y="{decimal(box.y)}" width="{across}%" height="{decimal(box.height)}"'


def treemap_data(archive: ArchiveFigures) -> dict[str, Any]:
    """Return what the script needs: every node, and for each picture the places of what a folder holds."""
    nodes = archive.nodes
    listed = {node.number for node in _members(archive)}
    views = []
    for _, weigh in _measures(archive):
        for _, width, height in _SHAPES:
            places: dict[str, list[list[Any]]] = {}
            for node in nodes[1:]:
                if not node.children:
                    continue
                rows = places[str(node.number)] = []
                for cell in lay_out(nodes, node.number, Box(0, 0, width, height), weigh):
                    child, box = nodes[cell.number], cell.box
                    lines, name, size = _label(child, box, weigh)
                    rows.append(
                        [
                            cell.number,
                            round(100 * box.x / width, 2),
                            round(box.y, 1),
                            round(100 * box.width / width, 2),
                            round(box.height, 1),
                            lines,
                            "" if name == plain(child.name) else name,
                            size if lines > 1 else "",
                        ]
                    )
            views.append(places)
    return {
        "nodes": [
            [
                plain(node.name or archive.name.rpartition("/")[2]),
                node.kind,
                node.parent,
                _title(node, archive),
                int(bool(node.children)),
                int(node.number in listed),
            ]
            for node in nodes
        ],
        "views": views,
    }


def _size_columns(archive: ArchiveFigures) -> tuple[tuple[str, str], ...]:
    packed = (("in the archive", "number"),) if archive.is_compressed else ()
    return (("size", "number"), *packed, ("share", "number"))


def _size_cells(node: Node, archive: ArchiveFigures) -> str:
    packed = f'<td class="number">{size_text(node.packed)}</td>' if archive.is_compressed else ""
    return (
        f'<td class="number">{size_text(node.size)}</td>{packed}'
        f'<td class="number">{percent(node.packed, archive.nodes[0].packed)}</td>'
    )


def _package_table(archive: ArchiveFigures) -> Iterator[str]:
    children = [archive.nodes[number] for number in archive.nodes[0].children]
    number = counted(len(children), "package and module", "packages and modules")
    yield f"<details><summary>Table of {number}</summary>"
    yield from table_head(
        "What is on top in the archive, the largest first",
        (("name", ""), ("kind", "wide-only"), ("files", "number"), *_size_columns(archive)),
    )
    for node in children:
        yield (
            f'<tr><th scope="row"><bdi>{escaped(node.name)}</bdi></th>'
            f'<td class="wide-only">{node.kind}</td>'
            f'<td class="number">{node.files}</td>{_size_cells(node, archive)}</tr>'
        )
    yield "</tbody></table></details>"


def _members(archive: ArchiveFigures) -> list[Node]:
    members = [node for node in archive.nodes[1:] if not node.children]
    members.sort(key=lambda node: (-node.packed, node.path))
    return members[:_MOST_ROWS]


def _member_table(archive: ArchiveFigures) -> Iterator[str]:
    shown = _members(archive)
    left = archive.nodes[0].files - len(shown)
    yield f"<details><summary>Table of {counted(archive.nodes[0].files, 'member')}</summary>"
    caption = "All members, the largest first"
    if left:
        caption = f"The largest members; {counted(left, 'other')} are in what zipstrap inspect --tree prints"
    yield from table_head(
        caption, (("member", ""), ("kind", "wide-only"), ("kept", "wide-only"), *_size_columns(archive))
    )
    for node in shown:
        yield (
            f'<tr id="m{node.number}"><th scope="row"><bdi class="path">{escaped(node.path)}</bdi></th>'
            f'<td class="wide-only">{node.kind}</td>'
            f'<td class="wide-only">{escaped(node.method)}</td>{_size_cells(node, archive)}</tr>'
        )
    yield "</tbody></table></details>"
