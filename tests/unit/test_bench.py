"""The pure parts of the bench: what is run, what figures say, what tools print, what is reported."""

from __future__ import annotations

import itertools
import json
import math
import zipfile
from pathlib import Path
from xml.etree import ElementTree

import pytest
from zipstrap.bench import storage
from zipstrap.bench.cases import (
    BASE,
    GIVEN,
    Column,
    Condition,
    bench_data,
    choose,
    imports_of,
    with_base,
)
from zipstrap.bench.counters import Calls, parse_cachegrind, parse_calls, parse_perf
from zipstrap.bench.figures import Spread, ratios, spread
from zipstrap.bench.memory import Memory, parse_rollup
from zipstrap.bench.peers import Stored, compare_peer, module_of, parse_peer, read_peer, total
from zipstrap.bench.plot import bench_to_svg
from zipstrap.bench.report import (
    BenchReport,
    CaseReport,
    Cell,
    ColumnReport,
    NotMeasured,
    bench_to_json,
    bench_to_text,
)
from zipstrap.bench.sides import column_settings
from zipstrap.bench.storage import slow_prefix
from zipstrap.config import CHOICES
from zipstrap.errors import FileError, UsageError

# ---- what is run -----------------------------------------------------------------------------------------


def test_every_column_is_a_build() -> None:
    columns = bench_data().columns
    for column in columns:
        assert column.layout in CHOICES["layout"]
        column_settings(column)  # raises for an option that there is not
        assert not column.sourceless or column.layout == "directory"
    with pytest.raises(TypeError):
        column_settings(Column("x", "", "standard", {"no_such_option": 1}))
    assert column_settings(Column("x", "", "fast", {"compress": "deflate", "force": True})).force
    names = [column.name for column in columns]
    assert names[0] == BASE
    assert GIVEN not in names
    assert len(set(names)) == len(names)


def test_rows_have_names_and_scripts_of_their_own() -> None:
    rows = bench_data().rows
    assert len({row.name for row in rows}) == len(rows)
    for row in rows:
        assert row.conditions
        words = [word for word in row.arguments if word.startswith("{")]
        assert set(words) <= {"{empty}", "{modules}"}
        # a row that ignores the environment has no PYTHONPATH, so no folders before the library
        assert row.reads_environment or Condition.LAST not in row.conditions
        assert row.reads_environment or not row.program


def test_there_are_147_modules_in_order() -> None:
    modules = bench_data().modules
    assert len(modules) == 147
    assert list(modules) == sorted(set(modules))


def test_a_script_imports_them() -> None:
    assert imports_of(["abc", "io"]) == "import abc\nimport io\n"


def test_names_are_chosen_in_the_order_of_the_data() -> None:
    known = {"a": 1, "b": 2, "c": 3}
    assert choose(known, None, "row") == (1, 2, 3)
    assert choose(known, "c, a", "row") == (1, 3)
    with pytest.raises(UsageError) as caught:
        choose(known, "a,x,y", "row")
    assert "there is no row 'x'" in str(caught.value)
    assert "there is no row 'y'" in str(caught.value)
    assert "a, b, c" in str(caught.value)
    with pytest.raises(UsageError, match="no row is named"):
        choose(known, ",", "row")


def test_the_base_is_there_whatever_is_chosen() -> None:
    columns = bench_data().columns
    fast = next(column for column in columns if column.name == "fast")
    assert [column.name for column in with_base([fast])] == [BASE, "fast"]
    assert with_base(columns) == columns


# ---- figures ---------------------------------------------------------------------------------------------


def test_a_spread_of_known_values() -> None:
    found = spread([5.0, 1.0, 4.0, 2.0, 3.0])
    assert (found.count, found.median, found.low, found.high) == (5, 3.0, 2.0, 4.0)
    assert found.interval is None
    assert spread([2.0]) == Spread(1, 2.0, 2.0, 2.0, None)


#: Ranks of the sign test's interval, from published tables of the binomial distribution.
@pytest.mark.parametrize(("count", "rank"), [(6, 1), (8, 1), (9, 2), (10, 2), (20, 6), (30, 10), (100, 40)])
def test_the_interval_of_the_median(count: int, rank: int) -> None:
    found = spread([float(number) for number in range(1, count + 1)])
    assert found.interval == (rank, count + 1 - rank)


@pytest.mark.parametrize("count", range(6, 15))
def test_the_interval_holds_the_median_in_95_of_100(count: int) -> None:
    """Counted over all ways in which values can lie on either side of the median."""
    found = spread([float(number) for number in range(count)])
    assert found.interval is not None
    rank = int(found.interval[0]) + 1
    missed = sum(
        sum(signs) < rank or count - sum(signs) < rank for signs in itertools.product((0, 1), repeat=count)
    )
    assert missed / 2**count <= 0.05
    # and the next rank would not do
    worse = 2 * sum(math.comb(count, below) for below in range(rank + 1))
    assert worse / 2**count > 0.05


def test_ratios_are_of_one_round() -> None:
    assert ratios([2.0, 3.0, 9.0], [1.0, 6.0, 0.0]) == (2.0, 0.5)


# ---- what tools print ------------------------------------------------------------------------------------


def test_what_cachegrind_prints() -> None:
    text = "==1== Cachegrind\n==1== \n==1== I   refs:      47,105,321\n"
    assert parse_cachegrind(text) == 47_105_321
    assert parse_cachegrind("==1== I refs:      12") == 12
    assert parse_cachegrind("valgrind: failed to start tool") is None


def test_what_perf_prints() -> None:
    assert parse_perf("53120077,,instructions:u,41402861,100.00,,\n") == 53_120_077
    assert parse_perf("<not supported>,,instructions:u,0,100.00,,\n") is None
    assert parse_perf("<not counted>,,instructions:u,0,100.00,,\n") is None


STRACE = """\
10  execve("/t/bin/python3", ["python3"], 0x7ffe /* 5 vars */) = 0
10  openat(AT_FDCWD</work>, "/t/lib/libpython3.so.1.0", O_RDONLY|O_CLOEXEC) = 3</t/lib/libpython3.so.1.0>
10  read(3</t/lib/libpython3.so.1.0>, "\\177ELF"..., 832) = 832
10  openat(AT_FDCWD</work>, "/etc/localtime", O_RDONLY) = 3</etc/localtime>
10  openat(AT_FDCWD</work>, "/t/lib/none.py", O_RDONLY) = -1 ENOENT (No such file or directory)
10  newfstatat(AT_FDCWD</work>, "/t/lib/python313.zip", 0x7ffe, 0) = -1 ENOENT (No such file or directory)
10  openat(AT_FDCWD</work>, "/t/lib", O_RDONLY|O_NONBLOCK|O_CLOEXEC|O_DIRECTORY) = 3</t/lib>
10  openat(AT_FDCWD</work>, "/t/lib/a.pyc", O_RDONLY|O_CLOEXEC) = 3</t/lib/a.pyc>
10  openat(AT_FDCWD</work>, "/t/lib/a.pyc", O_RDONLY|O_CLOEXEC <unfinished ...>
11  futex(0x7f, FUTEX_WAIT, 2, NULL <unfinished ...>
10  <... openat resumed>) = 4</t/lib/a.pyc>
11  <... futex resumed>) = 0
10  openat(AT_FDCWD</work>, "/tree/b.py", O_RDONLY|O_CLOEXEC) = 3</tree/b.py>
10  exit_group(0 <unfinished ...>
"""


def test_what_strace_saw() -> None:
    # one file of two openings; /tree is not below /t, and a folder that is listed is no file
    assert parse_calls(STRACE, "/t") == Calls(calls=12, opens=5, files=1, extensions=1, misses=2)
    assert parse_calls("", "/t") == Calls(0, 0, 0, 0, 0)


def test_what_the_kernel_says_of_memory() -> None:
    text = "55-7f ---p 0 0 [rollup]\nRss:   100 kB\nPss:  40 kB\nPss_Dirty: 9 kB\nShared_Clean: 60 kB\n"
    text += "Shared_Dirty:  5 kB\nPrivate_Clean:  15 kB\nPrivate_Dirty: 20 kB\n"
    assert parse_rollup(text) == Memory(100, 40, 35, 65)
    with pytest.raises(KeyError):
        parse_rollup("")


def test_latency_is_given_in_microseconds() -> None:
    assert slow_prefix(0.5)[-1].endswith(":delay_enter=500")
    assert slow_prefix(0.001)[-1].endswith(":delay_enter=1")


# ---- peers -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "module"),
    [
        ("os.pyc", "os"),
        ("json/__init__.pyc", "json"),
        ("json/decoder.py", "json.decoder"),
        ("json/data.txt", None),
        ("lib2to3/Grammar3.13.0.pickle", None),
        ("some-thing.py", None),
        ("json/", None),
    ],
)
def test_the_module_of_a_member(name: str, module: str | None) -> None:
    assert module_of(name) == module


def test_a_peer_has_a_name_and_a_file() -> None:
    assert parse_peer("x=a=b.zip").path == Path("a=b.zip")
    for text in ("x", "=a.zip", "x="):
        with pytest.raises(UsageError):
            parse_peer(text)


def test_sizes_are_those_of_the_modules_that_all_have() -> None:
    peer = [Stored("os.pyc", 100), Stored("json/__init__.pyc", 50), Stored("own.pyc", 7), Stored("x.txt", 1)]
    ours = {
        "stored": [Stored("os.pyc", 300), Stored("os.py", 900), Stored("json/__init__.pyc", 200)],
        "small": [Stored("json/__init__.pyc", 60), Stored("os.pyc", 90), Stored("re.pyc", 5)],
    }
    found = compare_peer("x", "x.zip", 1000, peer, ours)
    assert (found.common, found.bytecode, found.sources) == (2, 3, 0)
    assert found.others == ("own",)
    names = [Stored("os.pyc", 0), Stored("json/__init__.pyc", 0)]
    assert found.peer == total(names) + 150
    assert found.ours == {"stored": total(names) + 500, "small": total(names) + 150}


def test_the_total_is_what_zipfile_writes(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("a.pyc", "package/module.pyc"):
            archive.writestr(name, name * 100)
    size, members = read_peer(path)
    assert total(members) == size == path.stat().st_size


def test_what_is_no_archive_is_told(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    path.write_text("no archive")
    for each in (path, tmp_path / "none.zip"):
        with pytest.raises(FileError, match="cannot be read as an archive"):
            read_peer(each)


# ---- reports ---------------------------------------------------------------------------------------------

FASTER = Spread(30, 0.95, 0.94, 0.96, (0.945, 0.955))
SLOWER = Spread(30, 1.4, 1.3, 1.5, (1.35, 1.45))


def report(*, cases: bool = True) -> BenchReport:
    warm = CaseReport(
        "plain",
        Condition.WARM,
        "an empty <start>",
        30,
        12.0,
        13.0,
        {
            BASE: Cell(None, None, 47_000_000, Calls(300, 13, 4, 2, 48), Memory(9200, 1500, 2900, 6300)),
            "fast": Cell(
                FASTER, FASTER, 46_000_000, Calls(290, 12, 2, 2, 40), Memory(9000, 1490, 2800, 6200)
            ),
            "stored": Cell(SLOWER, SLOWER),
        },
    )
    slow = CaseReport(
        "plain", Condition.SLOW, "an empty start", 30, None, 107.0, {BASE: Cell(), "fast": Cell(None, FASTER)}
    )
    sizes = {"stored": [Stored("os.pyc", 300)], "fast": [Stored("os.pyc", 150)]}
    return BenchReport(
        target="CPython 3.13.0",
        executable="/opt/python3.13",
        tree=None,
        profile="standard",
        pairs=30,
        latency=0.5,
        machine={"processor": "some & other", "load": "0.1 before, 0.2 after"},
        counter="cachegrind",
        cold_by="",
        modules=("os",),
        absent={"curses": "stored: ImportError: no"},
        columns=tuple(ColumnReport(name, f"about {name}", 100, 50, 3) for name in (BASE, "fast", "stored")),
        cases=(warm, slow) if cases else (),
        peers=(compare_peer("other", "other.zip", 400, [Stored("os.pyc", 200)], sizes),) if cases else (),
        not_measured=(NotMeasured("cold", "no such thing here"),),
        notes=("a note",),
    )


def test_the_text_has_every_figure() -> None:
    text = bench_to_text(report())
    assert "plain, warm: an empty <start>; directory: 12.0 ms of CPU time, 13.0 ms elapsed\n" in text
    assert "0.950 (0.940 to 0.960)" in text
    assert "46.0 (0.979)" in text
    assert "plain, slow: an empty start; directory: 107.0 ms elapsed\n" in text
    assert "not measured: cold: no such thing here\n" in text
    assert "note: a note\n" in text
    rows = {
        line.split("  ")[1]: line.split()[2:] for line in text.splitlines() if line.startswith("  plain,")
    }
    assert rows == {"plain, warm": ["1", "0.95", "1.40"], "plain, slow": ["1", "0.95", "-"]}


def test_a_table_has_no_empty_column() -> None:
    block = bench_to_text(report()).split("plain, slow: ")[1].split("\n\n")[0]
    assert block.splitlines()[1].split() == ["elapsed"]


def test_json_has_the_same() -> None:
    values = json.loads(json.dumps(bench_to_json(report())))
    assert (values["schema_version"], values["base"]) == (1, BASE)
    cell = values["cases"][0]["cells"]["fast"]
    assert cell["cpu"] == {"count": 30, "median": 0.95, "low": 0.94, "high": 0.96, "interval": [0.945, 0.955]}
    assert cell["calls"]["files"] == 2
    assert values["cases"][1]["condition"] == "slow"
    assert values["peers"][0]["ours"]["fast"] == total([Stored("os.pyc", 150)])


def test_the_picture_is_svg_with_a_line_for_each_ratio() -> None:
    root = ElementTree.fromstring(bench_to_svg(report()))
    names = {"svg": "http://www.w3.org/2000/svg"}
    dots = root.findall("svg:circle", names)
    assert len(dots) == 3
    one = next(float(text.attrib["x"]) for text in root.findall("svg:text", names) if text.text == "1")
    better, worse, _ = (float(dot.attrib["cx"]) for dot in dots)
    assert better < one < worse
    width = float(root.attrib["width"])
    height = float(root.attrib["height"])
    assert all(0 < float(dot.attrib["cx"]) < width and 0 < float(dot.attrib["cy"]) < height for dot in dots)
    texts = [text.text for text in root.findall("svg:text", names)]
    assert any(text is not None and "an empty <start>" in text for text in texts)


@pytest.mark.parametrize("middle", [0.2, 0.9, 3.0, 12.0])
def test_the_picture_always_has_the_base_on_its_axis(middle: float) -> None:
    some = report()
    value = Spread(30, middle, middle * 0.9, middle * 1.1, None)
    case = CaseReport("plain", Condition.WARM, "x", 30, 1.0, 1.0, {BASE: Cell(), "fast": Cell(value, value)})
    changed = BenchReport(**{name: getattr(some, name) for name in some.__slots__} | {"cases": (case,)})
    root = ElementTree.fromstring(bench_to_svg(changed))
    ticks = [
        text.text
        for text in root.iter("{http://www.w3.org/2000/svg}text")
        if text.attrib.get("text-anchor") == "middle"
    ]
    assert "1" in ticks
    assert 1 < len(ticks) <= 12


def test_a_report_of_nothing_says_so() -> None:
    nothing = report(cases=False)
    assert not nothing.measured
    assert "medians" not in bench_to_text(nothing)
    ElementTree.fromstring(bench_to_svg(nothing))


# ---- the page cache --------------------------------------------------------------------------------------


def test_the_page_cache_is_emptied_where_that_is_allowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a file that stands in for the kernel's: a test empties nobody's cache."""
    stand_in = tmp_path / "drop_caches"
    monkeypatch.setattr(storage, "_DROP", stand_in)
    synced: list[bool] = []
    monkeypatch.setattr(storage.os, "sync", lambda: synced.append(True))
    with pytest.raises(UsageError, match="only root"):
        storage.may_drop()
    assert not stand_in.exists()
    stand_in.touch()
    storage.may_drop()
    storage.drop_all()
    # what is not written yet could not be dropped
    assert (synced, stand_in.read_text()) == ([True], "3\n")


def test_plain_files_are_found_and_links_are_not(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/file").touch()
    (tmp_path / "link").symlink_to("folder/file")
    (tmp_path / "nowhere").symlink_to("none")
    assert storage.files_below([tmp_path]) == (tmp_path / "folder/file",)


def test_how_much_of_a_file_is_in_memory(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * 10_000)
    path.read_bytes()
    assert storage.resident(path) in (1.0, None)
