"""Pure: sizes as areas, a squarified treemap (Bruls, Huizing and van Wijk, 2000)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

__all__ = ["Box", "Cell", "Leaf", "Node", "inset", "lay_out", "make_nodes", "squarify"]

#: folders within each other; what is deeper is one name, so that no archive makes a tower of us
_DEEPEST = 8


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle; *x* and *y* are its upper left corner."""

    x: float
    y: float
    width: float
    height: float

    @property
    def area(self) -> float:
        """Width by height."""
        return self.width * self.height


@dataclass(frozen=True, slots=True)
class Leaf:
    """A file; *path* has slashes, *kind* is what it is, sizes are in bytes.

    *module* is the last part of *path* without what tells bytecode from source; empty for what is neither.
    """

    path: str
    kind: str
    size: int
    packed: int
    method: str = ""
    module: str = ""


@dataclass(frozen=True, slots=True)
class Node:
    """A folder or a file: a place in the hierarchy, with the sum of what is below it.

    *number* is its place in the list of all nodes, in which a folder comes before what it holds; *parent* and
    *children* are such numbers. *files* counts the files, itself if it is one.
    """

    number: int
    name: str
    path: str
    kind: str
    parent: int | None
    children: tuple[int, ...]
    files: int
    size: int
    packed: int
    method: str = ""


@dataclass(frozen=True, slots=True)
class Cell:
    """The place of a node in a picture; *depth* 1 lies in the whole, 2 in a cell of depth 1."""

    number: int
    box: Box
    depth: int


@dataclass(slots=True)
class _Folder:
    path: str
    leaves: list[Leaf] = field(default_factory=list)
    folders: dict[str, _Folder] = field(default_factory=dict)


def make_nodes(leaves: Iterable[Leaf]) -> tuple[Node, ...]:
    """Return *leaves* and their folders as nodes, the whole first; within a folder the largest first.

    A folder with an ``__init__`` is a ``package``, any other a ``folder``. Files of one module make a node of
    the kind ``module``; the only one of a module has its name.
    """
    root = _Folder("")
    for leaf in leaves:
        folder = root
        names = leaf.path.split("/")
        for name in names[: min(len(names) - 1, _DEEPEST)]:
            if name not in folder.folders:
                folder.folders[name] = _Folder(f"{folder.path}{name}/")
            folder = folder.folders[name]
        folder.leaves.append(leaf)
    nodes: list[Node] = []
    _add(root, "", None, nodes)
    return tuple(nodes)


def _add(folder: _Folder, name: str, parent: int | None, nodes: list[Node]) -> Node:
    number = len(nodes)
    nodes.append(Node(number, name, folder.path, "", parent, (), 0, 0, 0))
    children = [_add(inner, inner_name, number, nodes) for inner_name, inner in folder.folders.items()]
    modules: dict[str, list[Leaf]] = {}
    for leaf in folder.leaves:
        modules.setdefault(leaf.module or leaf.path, []).append(leaf)
    for module, leaves in modules.items():
        if len(leaves) == 1:
            children.append(_add_leaf(leaves[0], leaves[0].module, number, nodes))
            continue
        at = len(nodes)
        nodes.append(Node(at, module, f"{folder.path}{module}", "", number, (), 0, 0, 0))
        files = [_add_leaf(leaf, leaf.path.rpartition("/")[2], at, nodes) for leaf in leaves]
        nodes[at] = _with(nodes[at], "module", files)
        children.append(nodes[at])
    is_package = any(leaf.module == "__init__" for leaf in folder.leaves)
    nodes[number] = _with(nodes[number], "package" if is_package else "folder", children)
    return nodes[number]


def _add_leaf(leaf: Leaf, name: str, parent: int, nodes: list[Node]) -> Node:
    name = name or leaf.path.removeprefix(nodes[parent].path)
    number = len(nodes)
    nodes.append(Node(number, name, leaf.path, leaf.kind, parent, (), 1, leaf.size, leaf.packed, leaf.method))
    return nodes[number]


def _with(node: Node, kind: str, children: list[Node]) -> Node:
    """Return *node* of that *kind*, with *children* and what they sum up to."""
    children.sort(key=lambda child: (-child.packed, -child.size, child.path))
    return replace(
        node,
        kind=kind,
        children=tuple(child.number for child in children),
        files=sum(child.files for child in children),
        size=sum(child.size for child in children),
        packed=sum(child.packed for child in children),
    )


def squarify(weights: Sequence[float], box: Box) -> tuple[Box, ...]:
    """Divide *box* into boxes whose areas are as *weights*, as near to squares as the method makes them.

    They come in the order of *weights*, none of which is below 0; one of 0 gets a box without an area.
    """
    order = sorted(range(len(weights)), key=lambda index: -weights[index])
    total = sum(weights)
    boxes = [Box(box.x, box.y, 0.0, 0.0)] * len(weights)
    if total <= 0 or box.area <= 0:
        return tuple(boxes)
    scale = box.area / total
    rest = box
    at = 0
    while at < len(order) and weights[order[at]] > 0:
        side = min(rest.width, rest.height)
        end, area = at, 0.0
        worst = float("inf")
        while end < len(order) and weights[order[end]] > 0:
            grown = area + weights[order[end]] * scale
            ratio = _worst(weights[order[at]] * scale, weights[order[end]] * scale, grown, side)
            if ratio > worst:
                break
            end, area, worst = end + 1, grown, ratio
        last = end == len(order) or weights[order[end]] <= 0
        row = [weights[index] for index in order[at:end]]
        for index, placed in zip(order[at:end], _row(row, area, rest, last=last), strict=True):
            boxes[index] = placed
        rest = _without(rest, area)
        at = end
    return tuple(boxes)


def _worst(largest: float, smallest: float, area: float, side: float) -> float:
    """Return the worst ratio of sides in a row of *area* that lies along *side*."""
    if side <= 0 or smallest <= 0:
        return float("inf")
    return max(side * side * largest / (area * area), area * area / (side * side * smallest))


def _row(weights: Sequence[float], area: float, box: Box, *, last: bool) -> Iterator[Box]:
    """Yield the boxes of a row along the shorter side of *box*; the *last* one fills what is left of it."""
    upright = box.width >= box.height
    side = box.height if upright else box.width
    thickness = area / side if side > 0 else 0.0
    if last:
        thickness = box.width if upright else box.height
    total = sum(weights)
    done = 0.0
    for weight in weights:
        start, end = done / total * side, (done + weight) / total * side
        done += weight
        if upright:
            yield Box(box.x, box.y + start, thickness, end - start)
        else:
            yield Box(box.x + start, box.y, end - start, thickness)


def _without(box: Box, area: float) -> Box:
    """Return what is left of *box* when a row of *area* has been taken from it."""
    if box.width >= box.height:
        taken = min(area / box.height, box.width)
        return Box(box.x + taken, box.y, box.width - taken, box.height)
    taken = min(area / box.width, box.height)
    return Box(box.x, box.y + taken, box.width, box.height - taken)


def lay_out(
    nodes: Sequence[Node],
    number: int,
    box: Box,
    weigh: Callable[[Node], float],
    *,
    inner: Callable[[Node, Box], Box | None] | None = None,
) -> tuple[Cell, ...]:
    """Return the cells of what the folder *number* holds, the outer ones first, by what *weigh* says.

    *inner* tells which part of a folder's box shows what is in it, None for none.
    """
    children = [nodes[child] for child in nodes[number].children]
    outer = [
        Cell(child.number, placed, 1)
        for child, placed in zip(children, squarify([weigh(child) for child in children], box), strict=True)
        if placed.area > 0
    ]
    within: list[Cell] = []
    for cell in outer if inner is not None else ():
        assert inner is not None
        node = nodes[cell.number]
        place = inner(node, cell.box) if node.children else None
        if place is not None:
            within += [Cell(each.number, each.box, 2) for each in lay_out(nodes, cell.number, place, weigh)]
    return (*outer, *within)


def inset(box: Box, *, top: float, margin: float, least: float) -> Box | None:
    """Return *box* without a heading of *top* and a *margin*; None where less than *least* is left."""
    width, height = box.width - 2 * margin, box.height - top - margin
    if width < least or height < least:
        return None
    return Box(box.x + margin, box.y + top, width, height)
