"""The waterfall: what ``-X importtime`` prints, as bars."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st
from zipstrap.report.waterfall import Bar, Import, lay_out, least_of, read_importtime

PRINTED = """\
import time: self [us] | cumulative | imported package
import time:       136 |        136 |   _io
import time:       465 |        601 | _frozen_importlib_external
something that a hook printed
import time:        21 |         21 |     _abc
import time:       119 |        140 |   abc
import time:       120 |        260 | io
import time:        10 |         10 | a module | with "<odd>" name
"""


def test_what_is_printed_is_read() -> None:
    assert read_importtime(PRINTED) == (
        Import("_io", 1, 136),
        Import("_frozen_importlib_external", 0, 465),
        Import("_abc", 2, 21),
        Import("abc", 1, 119),
        Import("io", 0, 120),
        Import('a module | with "<odd>" name', 0, 10),
    )
    assert read_importtime("import time: self [us] | cumulative | imported package\nnothing\r\n") == ()


def test_bars_are_in_the_order_in_which_imports_began() -> None:
    assert lay_out(read_importtime(PRINTED)) == (
        Bar("_frozen_importlib_external", 0, 0, 465, 136),
        Bar("_io", 1, 465, 136, 0),
        Bar("io", 0, 601, 120, 140),
        Bar("abc", 1, 721, 119, 21),
        Bar("_abc", 2, 840, 21, 0),
        Bar('a module | with "<odd>" name', 0, 861, 10, 0),
    )


def test_a_level_that_is_missing_does_no_harm() -> None:
    """A hook of another program may have swallowed lines."""
    bars = lay_out((Import("deep", 3, 5), Import("top", 0, 7), Import("alone", 2, 1)))
    assert [(bar.module, bar.depth, bar.start) for bar in bars] == [
        ("top", 0, 0),
        ("deep", 1, 7),
        ("alone", 0, 12),
    ]


imports = st.lists(
    st.builds(Import, st.text(min_size=1, max_size=3), st.integers(0, 5), st.integers(0, 1000))
)


@given(imports)
def test_times_add_up(imports: list[Import]) -> None:
    bars = lay_out(imports)
    assert sorted(bar.module for bar in bars) == sorted(each.module for each in imports)
    now = 0.0
    ends: list[float] = []
    for bar in bars:
        # each begins where the own time of the one before it ended
        assert math.isclose(bar.start, now, abs_tol=1e-6)
        now += bar.own
        del ends[bar.depth :]
        # and ends within what imported it
        assert all(bar.start + bar.total <= end + 1e-6 for end in ends)
        ends.append(bar.start + bar.total)
    assert math.isclose(now, sum(each.own for each in imports), abs_tol=1e-6)
    assert math.isclose(sum(bar.total for bar in bars if not bar.depth), now, abs_tol=1e-6)


def test_the_least_is_of_runs_that_are_alike() -> None:
    runs = [[Import("a", 0, own), Import("b", 1, own * 2)] for own in (3, 1, 9)]
    other = [Import("a", 0, 0)]
    assert least_of([*runs, other]) == (Import("a", 0, 1), Import("b", 1, 2))
    assert least_of([]) == ()
