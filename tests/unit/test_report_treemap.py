"""The treemap: areas are as weights, boxes do not overlap, and folders hold what is in them."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from zipstrap.report.treemap import Box, Leaf, inset, lay_out, make_nodes, squarify

WHOLE = Box(10, 20, 600, 400)

weights = st.lists(st.integers(0, 10**9), max_size=30)
boxes = st.builds(
    Box,
    st.integers(-100, 100),
    st.integers(-100, 100),
    st.floats(0.5, 5000, allow_nan=False),
    st.floats(0.5, 5000, allow_nan=False),
)


def inside(inner: Box, outer: Box) -> bool:
    slack = 1e-6 * max(outer.width, outer.height)
    return (
        inner.x >= outer.x - slack
        and inner.y >= outer.y - slack
        and inner.x + inner.width <= outer.x + outer.width + slack
        and inner.y + inner.height <= outer.y + outer.height + slack
    )


def overlap(one: Box, other: Box) -> float:
    width = min(one.x + one.width, other.x + other.width) - max(one.x, other.x)
    height = min(one.y + one.height, other.y + other.height) - max(one.y, other.y)
    return max(0.0, width) * max(0.0, height)


@given(weights, boxes)
def test_areas_are_as_weights(weights: list[int], box: Box) -> None:
    found = squarify(weights, box)
    assert len(found) == len(weights)
    total = sum(weights)
    for weight, each in zip(weights, found, strict=True):
        wanted = weight / total * box.area if total else 0.0
        assert math.isclose(each.area, wanted, rel_tol=1e-6, abs_tol=1e-6 * box.area)


@given(weights, boxes)
def test_nothing_overlaps_and_nothing_sticks_out(weights: list[int], box: Box) -> None:
    found = [each for each in squarify(weights, box) if each.area > 0]
    assert all(inside(each, box) for each in found)
    for one, other in itertools.combinations(found, 2):
        assert overlap(one, other) <= 1e-6 * box.area


def test_the_order_is_that_of_the_weights() -> None:
    small, large = squarify([1, 3], WHOLE)
    assert large.area == pytest.approx(3 * small.area)
    # the largest is at the upper left
    assert (large.x, large.y) == (WHOLE.x, WHOLE.y)


def test_the_paper_s_example() -> None:
    """Bruls, Huizing and van Wijk, figure 4: 6, 6, 4, 3, 2, 2, 1 in 6 by 4."""
    found = squarify([6, 6, 4, 3, 2, 2, 1], Box(0, 0, 6, 4))
    assert [(each.width, each.height) for each in found[:2]] == [(3, 2), (3, 2)]
    ratios = [max(each.width / each.height, each.height / each.width) for each in found]
    assert max(ratios) < 3
    assert found[2].height == pytest.approx(7 / 3, rel=1e-9)


def test_equal_weights_in_a_square_are_squares() -> None:
    for each in squarify([5] * 4, Box(0, 0, 10, 10)):
        assert (each.width, each.height) == pytest.approx((5, 5))


@pytest.mark.parametrize("weights", [[], [0], [0, 0]])
def test_nothing_has_no_area(weights: list[int]) -> None:
    assert all(each.area == 0 for each in squarify(weights, WHOLE))
    assert all(each.area == 0 for each in squarify([1, 2], Box(0, 0, 0, 5)))


# ---- nodes -----------------------------------------------------------------------------------------------

LEAVES = (
    Leaf("json/__init__.pyc", "bytecode", 300, 100, "deflate", "__init__"),
    Leaf("json/decoder.pyc", "bytecode", 500, 200, "deflate", "decoder"),
    Leaf("json/decoder.py", "source", 400, 150, "deflate", "decoder"),
    Leaf("xml/etree/data.txt", "data", 10, 10, "stored"),
    Leaf("abc.pyc", "bytecode", 70, 30, "deflate", "abc"),
)


def test_folders_sum_up_what_they_hold() -> None:
    nodes = make_nodes(LEAVES)
    by_path = {node.path: node for node in nodes}
    assert [node.number for node in nodes] == list(range(len(nodes)))
    assert (nodes[0].files, nodes[0].size, nodes[0].packed) == (5, 1280, 490)
    json = by_path["json/"]
    assert (json.kind, json.name, json.files, json.packed) == ("package", "json", 3, 450)
    assert by_path["xml/"].kind == by_path["xml/etree/"].kind == "folder"
    # bytecode and source of one module are one node, which the largest comes first in
    module = by_path["json/decoder"]
    assert (module.kind, module.name, module.size, module.packed) == ("module", "decoder", 900, 350)
    assert [nodes[child].name for child in module.children] == ["decoder.pyc", "decoder.py"]
    # a single file of a module is called as the module
    assert (by_path["abc.pyc"].kind, by_path["abc.pyc"].name) == ("bytecode", "abc")
    assert [nodes[child].name for child in nodes[0].children] == ["json", "abc", "xml"]
    for node in nodes[1:]:
        assert node.parent is not None
        assert node.number in nodes[node.parent].children


def test_a_tower_of_folders_is_cut() -> None:
    path = "/".join(["d"] * 5000) + "/x.txt"
    nodes = make_nodes([Leaf(path, "data", 1, 1)])
    assert len(nodes) == 10
    assert nodes[-1].path == path
    assert nodes[-1].name.count("/") == 4992


def test_a_file_may_be_called_as_a_folder() -> None:
    nodes = make_nodes([Leaf("a/b", "data", 1, 1), Leaf("a.py", "source", 1, 1, module="a")])
    assert sorted(node.path for node in nodes) == ["", "a.py", "a/", "a/b"]


paths = st.lists(
    st.lists(st.sampled_from(["a", "b", "<c>", "é"]), min_size=1, max_size=4).map("/".join), max_size=30
)


@given(paths, st.booleans())
def test_cells_of_folders_lie_in_them(paths: list[str], by_size: bool) -> None:
    leaves = [Leaf(f"{path}/{at}.txt", "data", at * 7 % 50, at % 20) for at, path in enumerate(paths)]
    nodes = make_nodes(leaves)
    weigh = (lambda node: float(node.size)) if by_size else (lambda node: float(node.packed))
    cells = lay_out(nodes, 0, WHOLE, weigh, inner=lambda _node, box: inset(box, top=5, margin=1, least=2))
    outer = {cell.number: cell.box for cell in cells if cell.depth == 1}
    total = weigh(nodes[0])
    for number, box in outer.items():
        assert nodes[number].parent == 0
        assert math.isclose(box.area, weigh(nodes[number]) / total * WHOLE.area, rel_tol=1e-6)
    for cell in cells:
        if cell.depth == 2:
            parent = nodes[cell.number].parent
            assert parent is not None
            assert inside(cell.box, outer[parent])


def test_a_box_that_is_too_small_shows_nothing_within() -> None:
    assert inset(Box(0, 0, 30, 30), top=20, margin=3, least=14) is None
    assert inset(Box(0, 0, 60, 60), top=20, margin=3, least=14) == Box(3, 20, 54, 37)
