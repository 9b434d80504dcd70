"""Seeded faults: break one thing in a fresh tree, and verify names that thing and no other."""

from __future__ import annotations

import json
import os
import shutil
import socket
import stat
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from zipstrap import cli, source_hash
from zipstrap.archive import EARLIEST_TIME, Member, read_archive, write_archive
from zipstrap.build import Settings, build
from zipstrap.data import checks
from zipstrap.errors import InterpreterError
from zipstrap.interpreter import Facts, probe
from zipstrap.linkage import read_elf, resolve_linkage, set_run_path
from zipstrap.manifest import MANIFEST_NAME, Manifest, manifest_digest
from zipstrap.plan import Options
from zipstrap.verify import run
from zipstrap.verify.boots import MODES
from zipstrap.verify.checks import CheckResult
from zipstrap.verify.report import Verification, verification_to_text
from zipstrap.verify.run import verify_interpreter, verify_tree
from zipstrap.worker import clean_environment

from .interpreters import Target

#: in the archive of every tree of these tests, and read by no start
MODULE = "json/decoder"
#: on disk in every tree of these tests, and read by no start
ON_DISK = "pydoc_data"


@dataclass(frozen=True, slots=True)
class Case:
    """A tree to be broken, and where it came from."""

    root: Path
    manifest: Manifest
    facts: Facts
    home: Path

    @property
    def executable(self) -> Path:
        return self.root / self.manifest.layout.executable

    @property
    def archive(self) -> Path:
        return self.root / self.manifest.layout.archive

    @property
    def library(self) -> Path:
        return self.root / self.manifest.layout.library

    @property
    def dynload(self) -> Path:
        return self.root / self.manifest.layout.dynload

    @property
    def version(self) -> tuple[int, int]:
        return self.facts.feature_version

    @property
    def private_loader(self) -> bool:
        linkage = resolve_linkage(Path(self.facts.executable), ())
        return linkage.private_loader is not None

    @property
    def libpython(self) -> Path | None:
        return next(iter((self.root / self.manifest.layout.shared_libraries).glob("libpython*")), None)

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(self.executable), *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env={**clean_environment(), "HOME": str(self.home)},
            cwd=self.home,
            timeout=60,
            check=False,
        )


# ---- what breaks a tree ----------------------------------------------------------------------------------


def rewrite(case: Case, change: Callable[[dict[str, bytes]], None]) -> None:
    with read_archive(case.archive) as archive:
        members = {name: archive.read(name) for name in archive.names}
    change(members)
    with case.archive.open("wb") as stream:
        write_archive(stream, [Member(*item) for item in members.items()], mtime=EARLIEST_TIME)


def replace(path: Path, data: bytes) -> None:
    """Write *data* in the place of the file *path*; its mode stays."""
    mode = stat.S_IMODE(path.stat().st_mode)
    path.unlink()
    path.write_bytes(data)
    path.chmod(mode)


def on_disk(case: Case) -> tuple[Path, Path]:
    """Return a source that lies on disk, and its bytecode."""
    source = case.library / ON_DISK / "__init__.py"
    return source, source.parent / "__pycache__" / f"__init__.{case.facts.cache_tag}.pyc"


def in_user_site(case: Case, line: str) -> None:
    """Let every start with a user site run *line*, from a .pth file."""
    asked = case.run("-c", "import site; print(site.getusersitepackages())")
    assert asked.returncode == 0, asked.stderr
    folder = Path(asked.stdout.strip())
    assert folder.is_relative_to(case.home)
    folder.mkdir(parents=True)
    (folder / "fault.pth").write_text(line + "\n")


def no_archive(case: Case) -> None:
    case.archive.unlink()


def no_landmark(case: Case) -> None:
    (case.library / "os.py").unlink()


def no_dynload(case: Case) -> None:
    shutil.rmtree(case.dynload)


def archive_beside_bin(case: Case) -> None:
    place = case.root / "bin" / case.manifest.layout.archive
    place.parent.mkdir(parents=True)
    shutil.copy2(case.archive, place)


def archive_beside_libpython(case: Case) -> None:
    place = case.root / case.manifest.layout.shared_libraries / case.manifest.layout.archive
    place.parent.mkdir(parents=True)
    shutil.copy2(case.archive, place)


def prefix_below(case: Case) -> None:
    library = case.root / "opt" / "inner" / case.manifest.layout.library
    library.mkdir(parents=True)
    (library / "os.py").touch()


def venv_configuration(case: Case) -> None:
    (case.root / "pyvenv.cfg").write_text(f"home = {Path(case.facts.executable).parent}\n")


def path_configuration(case: Case) -> None:
    path = case.executable.with_name(f"{case.executable.name}._pth")
    path.write_text(f"{case.facts.library}\n{case.facts.library}/lib-dynload\nimport site\n")


def cut_off(case: Case) -> None:
    os.truncate(case.archive, case.archive.stat().st_size // 2)


def flipped_bit(case: Case) -> None:
    with read_archive(case.archive) as archive:
        member = next(member for member in archive.members if member.name == f"{MODULE}.pyc")
    with case.archive.open("r+b") as stream:
        stream.seek(member.data_offset + member.size // 2)
        byte = stream.read(1)[0]
        stream.seek(-1, os.SEEK_CUR)
        stream.write(bytes([byte ^ 4]))


def other_magic(case: Case) -> None:
    def change(members: dict[str, bytes]) -> None:
        members[f"{MODULE}.pyc"] = b"\x16\r\r\n" + members[f"{MODULE}.pyc"][4:]  # 3.6

    rewrite(case, change)


def other_magic_on_disk(case: Case) -> None:
    bytecode = on_disk(case)[1]
    replace(bytecode, b"\x16\r\r\n" + bytecode.read_bytes()[4:])


def head_alone(case: Case) -> None:
    def change(members: dict[str, bytes]) -> None:
        members[f"{MODULE}.pyc"] = members[f"{MODULE}.pyc"][:9]

    rewrite(case, change)


def empty_on_disk(case: Case) -> None:
    replace(on_disk(case)[1], b"")


def edited_source(case: Case) -> None:
    def change(members: dict[str, bytes]) -> None:
        members[f"{MODULE}.py"] += b"# edited\n"

    rewrite(case, change)


def edited_source_on_disk(case: Case) -> None:
    source = on_disk(case)[0]
    replace(source, source.read_bytes() + b"# edited\n")


def no_source(case: Case) -> None:
    rewrite(case, lambda members: members.__delitem__(f"{MODULE}.py"))


def no_source_on_disk(case: Case) -> None:
    on_disk(case)[0].unlink()


def no_bytecode(case: Case) -> None:
    rewrite(case, lambda members: members.__delitem__(f"{MODULE}.pyc"))


def no_bytecode_on_disk(case: Case) -> None:
    on_disk(case)[1].unlink()


def no_encodings(case: Case) -> None:
    def change(members: dict[str, bytes]) -> None:
        for name in [name for name in members if name.startswith("encodings/")]:
            del members[name]

    rewrite(case, change)


def no_zlib(case: Case) -> None:
    for path in case.dynload.glob("zlib.*"):
        path.unlink()


def with_time_stamp(data: bytes, source: bytes) -> bytes:
    return data[:4] + bytes(4) + bytes(4) + len(source).to_bytes(4, "little") + data[16:]


def time_stamp(case: Case) -> None:
    def change(members: dict[str, bytes]) -> None:
        name = f"{MODULE}.pyc"
        members[name] = with_time_stamp(members[name], members[name[:-1]])

    rewrite(case, change)


def time_stamp_on_disk(case: Case) -> None:
    source, bytecode = on_disk(case)
    replace(bytecode, with_time_stamp(bytecode.read_bytes(), source.read_bytes()))


def checked_hash(case: Case) -> None:
    def change(members: dict[str, bytes]) -> None:
        name = f"{MODULE}.pyc"
        members[name] = members[name][:4] + b"\3\0\0\0" + members[name][8:]

    rewrite(case, change)


def optimized_start(case: Case) -> None:
    """Start the tree with -O, which saves bytecode beside the sources on disk."""
    assert "PYTHONDONTWRITEBYTECODE" not in clean_environment()
    before = sorted(case.library.rglob("*.pyc"))
    done = case.run("-O", "-c", f"import {ON_DISK}")
    assert done.returncode == 0, done.stderr
    # Debian has a sitecustomize on disk, too
    added = {path.name for path in case.library.rglob("*.pyc") if path not in before}
    assert f"__init__.{case.facts.cache_tag}.opt-1.pyc" in added


def changed_data(case: Case) -> None:
    path = case.library / "LICENSE.txt"
    data = path.read_bytes()
    replace(path, data[:-2] + b"!\n")  # of the same size


def added_file(case: Case) -> None:
    (case.library / "added.py").write_text("1\n")


def added_script_that_can_be_imported(case: Case) -> None:
    path = case.executable.with_name("json.py")
    path.write_text("mine = True\n")
    path.chmod(0o755)


def added_package_beside_scripts(case: Case) -> None:
    package = case.executable.with_name("json")
    package.mkdir()
    (package / "__init__.py").write_text("mine = True\n")


def added_beside_the_archive(case: Case) -> None:
    (case.archive.parent / "added").mkdir()


def added_pipe(case: Case) -> None:
    os.mkfifo(case.library / "pipe.py")


def added_socket(case: Case) -> None:
    place = case.library / "s.so"
    here = Path.cwd()
    os.chdir(place.parent)  # the path of a socket must be short
    try:
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(place.name)
    finally:
        os.chdir(here)


def no_data(case: Case) -> None:
    (case.library / "LICENSE.txt").unlink()


def pipe_for_data(case: Case) -> None:
    no_data(case)
    os.mkfifo(case.library / "LICENSE.txt", 0o644)


def other_mode(case: Case) -> None:
    (case.library / "LICENSE.txt").chmod(0o755)


def other_link(case: Case) -> None:
    link = case.root / case.manifest.layout.executable_links[-1]
    link.unlink()
    link.symlink_to("python4")


def archive_by_link(case: Case) -> None:
    place = case.home / case.archive.name
    shutil.move(case.archive, place)
    case.archive.symlink_to(place)


def original_executable(case: Case) -> None:
    case.executable.unlink()
    case.executable.symlink_to(case.facts.executable)


def dynload_beside_bin(case: Case) -> None:
    (case.root / "bin" / case.manifest.layout.dynload).mkdir(parents=True)


def original_dynload(case: Case) -> None:
    shutil.rmtree(case.dynload)
    case.dynload.symlink_to(Path(case.facts.library) / "lib-dynload")


def path_before_archive(case: Case) -> None:
    in_user_site(case, f"import sys; sys.path.insert(0, {str(case.home)!r})")


def abc_on_disk(case: Case) -> None:
    moved = {}

    def change(members: dict[str, bytes]) -> None:
        moved.update({name: members.pop(name) for name in ("abc.py", "abc.pyc")})

    rewrite(case, change)
    (case.library / "abc.py").write_bytes(moved["abc.py"])
    folder = case.library / "__pycache__"
    folder.mkdir(exist_ok=True)
    (folder / f"abc.{case.facts.cache_tag}.pyc").write_bytes(moved["abc.pyc"])


def no_interpreter(case: Case) -> None:
    replace(case.executable, b"#!/bin/sh\nexit 3\n")


def lying_spec(case: Case) -> None:
    in_user_site(case, 'import sys; sys.modules["encodings.aliases"].__spec__ = sys.__spec__')


def module_only_without_v(case: Case) -> None:
    in_user_site(case, "import sys; sys.flags.verbose or sys.modules.__setitem__('json', type(sys)('json'))")


def finder_in_user_site(case: Case) -> None:
    """Serve json from elsewhere, and nothing else: no module of the boot shows it."""
    served = case.home / "json.py"
    served.write_text("mine = True\n")
    finder = case.home / "finder.py"
    finder.write_text(
        "import sys, _frozen_importlib as own, _frozen_importlib_external as files\n"
        "class Finder:\n"
        "    def find_spec(name, path=None, target=None):\n"
        "        if name == 'json':\n"
        f"            return own.spec_from_loader(name, files.SourceFileLoader(name, {str(served)!r}))\n"
        "sys.meta_path.insert(0, Finder)\n"
    )
    in_user_site(case, f"import io; exec(io.open({str(finder)!r}).read(), {{'__name__': 'finder'}})")
    assert case.run("-B", "-c", "import json; print(json.mine)").stdout == "True\n"


def impostor_in_user_site(case: Case) -> None:
    claim = "{'__module__': '_frozen_importlib', 'find_spec': staticmethod(lambda *_: None)}"
    in_user_site(case, f"import sys; sys.meta_path.append(type('BuiltinImporter', (), {claim}))")


def path_hook_in_user_site(case: Case) -> None:
    in_user_site(case, "import sys; sys.path_hooks.append(type('Hook', (ImportError,), {}))")


def import_from_disk(case: Case) -> None:
    in_user_site(case, f"import {ON_DISK}")


def foreign_file_read(case: Case) -> None:
    in_user_site(case, f"import io; io.open({str(Path(case.facts.library, 'os.py'))!r}).close()")


def own_customize(case: Case) -> None:
    (case.root / case.manifest.layout.site / "sitecustomize.py").write_text("mine = True\n")


def own_customize_in_library(case: Case) -> None:
    (case.library / "usercustomize.py").write_text("mine = True\n")


def own_module_in_user_site(case: Case) -> None:
    in_user_site(case, "import of_the_user")
    (pth,) = case.home.rglob("fault.pth")
    pth.with_name("of_the_user.py").write_text("mine = True\n")


def own_customize_in_user_site(case: Case) -> None:
    in_user_site(case, "# nothing")
    (pth,) = case.home.rglob("fault.pth")
    pth.with_name("sitecustomize.py").write_text("mine = True\n")


def own_pth(case: Case) -> None:
    (case.root / case.manifest.layout.site / "mine.pth").write_text("# nothing\n")


def pth_in_another_site_folder(case: Case) -> None:
    folder = case.root / case.manifest.layout.site_folders[-1]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "mine.pth").write_text("# nothing\n")


def original_libpython(case: Case) -> None:
    linkage = resolve_linkage(Path(case.facts.executable), ())
    assert linkage.libpython is not None
    set_run_path([case.executable], str(linkage.libpython.path.parent))


def missing_library(case: Case) -> None:
    path, name = next(
        (path, elf.needed[0].encode())
        for path in sorted(case.dynload.iterdir())
        if not path.name.startswith("zlib.") and (elf := read_elf(path)) is not None and elf.needed
    )
    replace(
        path, path.read_bytes().replace(b"\0" + name + b"\0", b"\0" + b"nope"[: len(name)] + name[4:] + b"\0")
    )


def outside_run_path(case: Case) -> None:
    path = next(path for path in sorted(case.dynload.iterdir()) if not path.name.startswith("zlib."))
    set_run_path([path], "/nonexistent")


def writable_file(case: Case) -> None:
    (case.library / "LICENSE.txt").chmod(0o646)


def writable_zip(case: Case) -> None:
    folder = case.root / case.manifest.layout.site / "zips"
    folder.mkdir()
    (folder / "mine.zip").touch()
    (folder / "mine.zip").chmod(0o646)


def writable_root(case: Case) -> None:
    case.root.chmod(0o757)


def writable_parent(case: Case) -> None:
    case.root.parent.chmod(0o777)


# ---- the table -------------------------------------------------------------------------------------------

#: (status, words of the reason) of a check that a target has no use for; None when the fault can be seeded
Cannot = Callable[[Case], "tuple[str, str] | None"]


def _before_3_11(text: str) -> Cannot:
    return lambda case: ("not run", text) if case.version < (3, 11) else None


def _has_landmark(case: Case) -> tuple[str, str] | None:
    return ("not run", "the archive itself is the landmark") if case.version >= (3, 11) else None


def _zlib_is_built_in(case: Case) -> tuple[str, str] | None:
    return ("passed", "") if case.facts.zlib == "builtin" else None


def _libpython_is_no_file(case: Case) -> tuple[str, str] | None:
    return _loader_is_private(case) or (("not run", "linked into") if case.libpython is None else None)


def _loader_is_private(case: Case) -> tuple[str, str] | None:
    return ("not run", "bound to a dynamic loader outside the tree") if case.private_loader else None


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing to break: the code that tells of it, and for which targets it cannot be, and why."""

    code: str
    seed: Callable[[Case], None]
    cannot: Cannot = lambda _: None
    options: tuple[str, ...] = ()


#: stands for the digest of the tree's manifest
DIGEST = "DIGEST"

FAULTS = (
    Fault("ZS101", no_archive),
    Fault("ZS102", no_landmark, _has_landmark),
    Fault("ZS103", no_dynload),
    Fault("ZS104", archive_beside_bin, _before_3_11("before 3.11 an archive is no landmark")),
    Fault("ZS105", prefix_below, _before_3_11("before 3.11 an archive is no landmark")),
    Fault("ZS106", venv_configuration),
    Fault("ZS201", cut_off),
    Fault("ZS201", flipped_bit),
    Fault("ZS202", other_magic),
    Fault("ZS202", other_magic_on_disk),
    Fault("ZS202", head_alone),
    Fault("ZS202", empty_on_disk),
    Fault("ZS203", edited_source),
    Fault("ZS203", edited_source_on_disk),
    Fault("ZS204", no_source),
    Fault("ZS204", no_source_on_disk),
    Fault("ZS205", no_bytecode),
    Fault("ZS205", no_bytecode_on_disk),
    Fault("ZS206", no_encodings),
    Fault("ZS207", no_zlib, _zlib_is_built_in),
    Fault("ZS208", time_stamp),
    Fault("ZS208", time_stamp_on_disk),
    Fault("ZS208", checked_hash),
    Fault("ZS209", changed_data),
    Fault("ZS209", added_file),
    Fault("ZS209", added_script_that_can_be_imported),
    Fault("ZS209", added_package_beside_scripts),
    Fault("ZS209", added_beside_the_archive),
    Fault("ZS209", added_pipe),
    Fault("ZS209", added_socket),
    Fault("ZS209", no_data),
    Fault("ZS209", pipe_for_data),
    Fault("ZS209", other_mode),
    Fault("ZS209", other_link),
    Fault("ZS209", archive_by_link),
    Fault("ZS210", optimized_start),
    Fault("ZS301", original_executable),
    # since 3.14 the prefix's own lib-dynload is looked at first: only without it (ZS103) another one counts
    Fault("ZS302", dynload_beside_bin, lambda case: ("passed", "") if case.version >= (3, 14) else None),
    Fault("ZS303", original_dynload),
    Fault("ZS304", path_before_archive),
    Fault("ZS305", abc_on_disk),
    Fault("ZS306", no_interpreter),
    Fault("ZS307", lying_spec),
    Fault("ZS307", module_only_without_v),
    Fault("ZS308", import_from_disk, options=("--strict",)),
    Fault("ZS212", changed_data, options=("--expect", DIGEST)),
    Fault("ZS212", flipped_bit, options=("--expect", DIGEST)),
    Fault("ZS309", foreign_file_read, options=("--kernel",)),
    Fault("ZS310", finder_in_user_site),
    Fault("ZS310", impostor_in_user_site),
    Fault("ZS310", path_hook_in_user_site),
    Fault("ZS401", own_customize),
    Fault("ZS401", own_customize_in_library),
    Fault("ZS402", own_pth),
    Fault("ZS402", pth_in_another_site_folder),
    Fault("ZS403", own_module_in_user_site, options=("--kernel",)),
    # Debian's own comes before the user's
    Fault(
        "ZS403",
        own_customize_in_user_site,
        lambda case: ("passed", "") if (case.library / "sitecustomize.py").exists() else None,
    ),
    Fault("ZS501", original_libpython, _libpython_is_no_file),
    Fault("ZS502", missing_library),
    Fault("ZS503", outside_run_path, _loader_is_private),
    Fault("ZS601", writable_file),
    Fault("ZS601", writable_zip),
    Fault("ZS601", writable_root),
    Fault("ZS602", writable_parent),
)


#: faults that may be told in one mode and not in another
STEERING = {
    "ZS101",
    "ZS102",
    "ZS103",
    "ZS104",
    "ZS106",
    "ZS501",
    *(code for code in checks() if "ZS3" in code),
}


def test_there_is_a_fault_for_every_check() -> None:
    # another manifest ends verify before any check (test_integrity.py); some are asked of one layout alone
    # (test_isolated.py), or of a Python of two files (test_extensions.py)
    assert {fault.code for fault in FAULTS} == set(checks()) - {"ZS107", "ZS108", "ZS211", "ZS311"}


# ---- trees -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Pristine:
    """Trees as they were built; tests break copies."""

    tree: Path
    manifest: Manifest
    facts: Facts

    def copy(self, folder: Path) -> Case:
        home = folder / "home"
        home.mkdir()
        root = folder / "parent" / "tree"
        shutil.copytree(self.tree, root, symlinks=True, copy_function=_copied)
        return Case(root, self.manifest, self.facts, home)


def _copied(source: str, copy: str) -> None:
    if "libpython" in source:
        os.link(source, copy)  # the largest file, which no test changes
    else:
        shutil.copy2(source, copy)


def _built(target: Target, folder: Path, compress: str) -> Pristine:
    facts = probe(target.executable)
    settings = Settings(
        profile="minimal",
        layout="standard",
        include=("json", ON_DISK),
        options=Options(compress=compress),
        jobs=2,
        verify=False,
    )
    made = build(facts, folder / "tree", settings)
    return Pristine(made.tree, made.manifest, facts)


@pytest.fixture(scope="module")
def stored(target: Target, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pristine]:
    folder = tmp_path_factory.mktemp("stored")
    yield _built(target, folder, "stored")
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def deflated(target: Target, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pristine]:
    folder = tmp_path_factory.mktemp("deflated")
    yield _built(target, folder, "deflate")
    shutil.rmtree(folder)


@pytest.fixture
def case(stored: Pristine, tmp_path: Path) -> Iterator[Case]:
    """Give a tree to break."""
    yield stored.copy(tmp_path)
    shutil.rmtree(tmp_path / "parent")  # these are large; pytest would keep them


def result(verification: Verification, code: str) -> CheckResult:
    return next(each for each in verification.results if each.code == code)


def findings(verification: Verification) -> dict[str, list[str]]:
    """Return what was found, by code and status: what a failed assertion should show."""
    return {
        f"{each.code} {each.status}": [finding.text for finding in each.findings]
        for each in verification.results
        if each.findings
    }


# ---- tests -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [(), ("--strict", "--kernel")], ids=["plain", "strict"])
def test_a_fresh_tree_has_no_fault(case: Case, options: tuple[str, ...]) -> None:
    verification = verify_tree(
        case.root, jobs=2, strict="--strict" in options, kernel="--kernel" in options, environ=_environ(case)
    )
    assert findings(verification) == {}
    assert verification.passed
    not_run = {each.code: each.reason for each in verification.results if each.status == "not run"}
    assert all(not_run.values())
    assert set(not_run) <= {
        *(("ZS102",) if case.version >= (3, 11) else ("ZS104", "ZS105")),
        "ZS207",
        *(("ZS501",) if case.libpython is None or case.private_loader else ()),
        *(("ZS503",) if case.private_loader else ()),
        *("ZS107", "ZS108", "ZS211", "ZS212", "ZS311"),
        *(() if "--strict" in options else ("ZS308",)),
        *(() if "--kernel" in options and shutil.which("strace") else ("ZS309",)),
    }


def _environ(case: Case) -> dict[str, str]:
    return {**clean_environment(), "HOME": str(case.home)}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault.code}-{fault.seed.__name__}")
def test_verify_reports_exactly_the_fault(
    fault: Fault,
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    target: Target,
) -> None:
    if "--kernel" in fault.options and shutil.which("strace") is None:
        pytest.skip("no strace here, which shows what the kernel saw")
    pristine: Pristine = request.getfixturevalue("deflated" if fault.code == "ZS207" else "stored")
    case = pristine.copy(tmp_path)
    monkeypatch.setenv("HOME", str(case.home))
    cannot = fault.cannot(case)
    if cannot is None:
        fault.seed(case)

    seen: list[Verification] = []

    def recorded(*arguments: object, **options: object) -> Verification:
        seen.append(verify_tree(*arguments, **options))  # type: ignore[arg-type]
        return seen[-1]

    monkeypatch.setattr(run, "verify_tree", recorded)
    primary = fault is next(each for each in FAULTS if each.code == fault.code)
    # to be quick: what steers no start is alike in all modes, and these three differ most
    chosen = (MODES[0], MODES[3], MODES[-1]) if fault.code in STEERING and primary else MODES[:1]
    monkeypatch.setattr(run, "MODES", chosen)
    digest = manifest_digest(pristine.manifest)
    options = [digest if option == DIGEST else option for option in fault.options]
    status = cli.main(["verify", str(case.root), "--format", "json", *options])
    told = {check["code"]: check for check in json.loads(capsys.readouterr().out)["checks"]}
    shutil.rmtree(case.root.parent)

    (verification,) = seen
    if cannot is not None:
        # the fault cannot be in this interpreter; then the report says so, and finds nothing
        assert findings(verification) == {}
        assert result(verification, fault.code).status == cannot[0]
        assert cannot[1] in told[fault.code]["reason"]
        assert status == 0
        return
    assert verification.codes == (fault.code,), findings(verification)
    error = checks()[fault.code].severity == "error" or "--strict" in fault.options
    assert status == (1 if error else 0)
    assert told[fault.code]["status"] == ("failed" if checks()[fault.code].severity == "error" else "warned")
    assert told[fault.code]["findings"]
    assert told[fault.code]["cause"]
    assert told[fault.code]["cure"]
    for each in verification.results:
        if each.status == "consequence":
            assert each.because == (fault.code,), findings(verification)


def test_without_its_landmark_the_tree_runs_another_library_and_exits_0(case: Case) -> None:
    if case.version >= (3, 11):
        # the archive is the landmark: without os.py nothing changes
        assert not (case.library / "os.py").exists()
        done = case.run("-c", "import os; print(os.__spec__.loader)")
        assert "zipimport" in done.stdout or "Frozen" in done.stdout
        return
    no_landmark(case)
    done = case.run("-c", "import os; print(os.__file__)")
    assert done.returncode == 0
    assert done.stderr == ""
    assert not Path(done.stdout.strip()).is_relative_to(case.root)


def test_a_path_configuration_steers_the_start_from_3_11(case: Case) -> None:
    path_configuration(case)
    verification = verify_tree(case.root, jobs=2, environ=_environ(case))
    # before 3.11 only Windows reads it: then it is a file that was added
    expected = "ZS106" if case.version >= (3, 11) else "ZS209"
    assert verification.codes == (expected,), findings(verification)


def test_a_nearer_dynload_counts_before_3_14(case: Case) -> None:
    dynload_beside_bin(case)
    verification = verify_tree(case.root, jobs=2, environ=_environ(case))
    assert verification.codes == ("ZS302" if case.version < (3, 14) else "ZS209",), findings(verification)


def test_an_archive_beside_libpython_wins_from_3_14(case: Case) -> None:
    archive_beside_libpython(case)
    verification = verify_tree(case.root, jobs=2, environ=_environ(case))
    wins = case.version >= (3, 14) and case.libpython is not None
    assert verification.codes == ("ZS104" if wins else "ZS209",), findings(verification)
    prefix = case.run("-I", "-S", "-c", "import sys; print(sys.prefix)").stdout.strip()
    assert (prefix == str(case.root)) is not wins


def test_a_tree_reached_by_links_and_dots_is_the_same_tree(case: Case, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(case.root)
    for way in (link, case.root / ".." / case.root.name, link / "lib" / ".."):
        verification = verify_tree(way, jobs=2, environ=_environ(case))
        assert findings(verification) == {}
        assert verification.tree == way


def test_a_way_in_by_the_folder_of_the_link_is_seen(case: Case, tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    (shared / "link").symlink_to(case.root)
    verification = verify_tree(shared / "link", jobs=2, environ=_environ(case))
    assert findings(verification) == {"ZS602 warned": [f"{shared} can be changed by everybody"]}


def test_the_sticky_bit_closes_the_way_in(case: Case) -> None:
    case.root.parent.chmod(0o1777)
    assert findings(verify_tree(case.root, jobs=2, environ=_environ(case))) == {}


def test_a_tree_may_be_read_only_or_private(case: Case) -> None:
    subprocess.run(["chmod", "-R", "a-w,go-rwx", str(case.root)], check=True)
    assert findings(verify_tree(case.root, jobs=2, environ=_environ(case))) == {}
    subprocess.run(["chmod", "-R", "u+w", str(case.root)], check=True)


def test_what_pip_installs_is_the_users_own(case: Case) -> None:
    """Packages in every site folder that the interpreter itself names, scripts, and files elsewhere."""
    asked = case.run("-I", "-B", "-c", "import site; print(chr(10).join(site.getsitepackages()))")
    folders = [Path(line) for line in asked.stdout.splitlines()]
    layout = case.manifest.layout
    assert {str(folder) for folder in folders} == {str(case.root / name) for name in layout.site_folders}
    added = [folder / "six" / "__init__.py" for folder in folders]
    added += [case.root / name for name in ("share/man/man1/six.1", "etc/six.conf", "include/six.h")]
    for path in (*added, case.executable.with_name("six")):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    case.executable.with_name("six").chmod(0o755)
    case.executable.with_name("six3").symlink_to("six")
    assert findings(verify_tree(case.root, jobs=2, environ=_environ(case))) == {}


def test_empty_folders_may_get_lost(case: Case) -> None:
    (case.root / case.manifest.layout.site).rmdir()
    assert findings(verify_tree(case.root, jobs=2, environ=_environ(case))) == {}


def test_sources_that_cannot_be_hashed_are_told_in_the_last_line(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: object) -> None:
        raise InterpreterError("it gave no answer", file="x", cure="y")

    monkeypatch.setattr(source_hash, "run_worker", failing)
    verification = verify_tree(case.root, jobs=2, environ=_environ(case))
    assert verification.passed
    last = verification_to_text(verification).splitlines()[-1]
    # from 3.11 on the host hashes as the target does, and asks nobody
    unseen = ", but not looked at: ZS203 (the sources could not be hashed: it gave no answer)"
    assert last == "verified" + (unseen if case.version < (3, 11) else "")


def test_a_change_is_told_beside_a_permission(case: Case) -> None:
    """Who made a file writable shall not hide that it was changed."""
    changed_data(case)
    writable_file(case)
    assert verify_tree(case.root, jobs=2, environ=_environ(case)).codes == ("ZS209", "ZS601")


def test_verify_changes_nothing(case: Case) -> None:
    def listed() -> dict[str, tuple[int, int, int]]:
        return {
            str(path): (status.st_mode, status.st_size, status.st_mtime_ns)
            for path in sorted(case.root.rglob("*"))
            for status in (path.lstat(),)
        }

    before = listed()
    verify_tree(case.root, jobs=2, kernel=True, environ=_environ(case))
    assert listed() == before


def test_an_ordinary_interpreter_has_no_archive(target: Target) -> None:
    facts = probe(target.executable)
    verification = verify_interpreter(facts, jobs=2)
    assert "ZS101" in verification.codes
    statuses = {each.code: each.status for each in verification.results}
    assert statuses["ZS209"] == statuses["ZS305"] == "not run"
    assert not verification.passed
    # not all of the prefix, which may be /usr: what belongs to the interpreter
    library = facts.library.removeprefix(facts.prefix).strip("/")
    assert f"{library}/os.py" in verification.evidence.files
    assert not [
        path
        for path in verification.evidence.files
        if not path.startswith(library)
        and not path.rpartition("/")[2].startswith(("python", "libpython", "pyvenv"))
        and path != verification.evidence.layout.executable
    ]


def test_an_interpreter_in_a_tree_is_verified_by_its_manifest(case: Case) -> None:
    verification = verify_interpreter(probe(case.executable), jobs=2, environ=_environ(case))
    assert verification.evidence.manifest == case.manifest
    assert findings(verification) == {}


def test_an_archive_that_nobody_has_a_manifest_of(case: Case) -> None:
    (case.root / MANIFEST_NAME).unlink()
    time_stamp_on_disk(case)  # as an installation that was not built by zipstrap has it
    verification = verify_interpreter(probe(case.executable), jobs=2, environ=_environ(case))
    # Debian has a sitecustomize of its own, which only a manifest tells from a stranger's
    known = ("ZS401",) if (case.library / "sitecustomize.py").exists() else ()
    assert verification.codes == known, findings(verification)
    assert {result(verification, code).status for code in ("ZS209", "ZS305", "ZS403")} == {"not run"}
    other_magic(case)
    again = verify_interpreter(probe(case.executable), jobs=2, environ=_environ(case))
    assert again.codes == ("ZS202", *known), findings(again)


@pytest.mark.parametrize(
    "damage",
    [b"", b"{", b"[]", b"{}", b"[" * 100_000, b'{"schema_version": 99, "made_by": "zipstrap 9"}'],
    ids=["empty", "no JSON", "a list", "nothing", "deep", "of another version"],
)
def test_a_damaged_manifest_is_one_clear_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], damage: bytes
) -> None:
    (tmp_path / MANIFEST_NAME).write_bytes(damage)
    assert cli.main(["verify", str(tmp_path)]) == 4
    told = capsys.readouterr()
    assert str(tmp_path / MANIFEST_NAME) in told.err
    assert "what to do" in told.err
    assert told.out == ""


def test_a_folder_without_manifest_is_one_clear_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["verify", str(tmp_path)]) == 4
    assert MANIFEST_NAME in capsys.readouterr().err


@pytest.mark.parametrize("outside", ["../x", "/etc/passwd", "lib/../../x", "lib//x", ""])
def test_a_manifest_that_leads_out_of_the_tree_is_refused(
    tmp_path: Path, stored: Pristine, capsys: pytest.CaptureFixture[str], outside: str
) -> None:
    for change in ("file", "archive"):
        values = json.loads((stored.tree / MANIFEST_NAME).read_bytes())
        if change == "file":
            values["files"][0]["path"] = outside
        else:
            values["layout"]["archive"] = outside
        (tmp_path / MANIFEST_NAME).write_text(json.dumps(values))
        assert cli.main(["verify", str(tmp_path)]) == 4
        assert f"{outside!r} is not a path inside the tree" in capsys.readouterr().err


def test_a_manifest_of_the_wrong_types_is_refused(
    tmp_path: Path, stored: Pristine, capsys: pytest.CaptureFixture[str]
) -> None:
    values = json.loads((stored.tree / MANIFEST_NAME).read_bytes())
    values["files"][0]["mode"] = "644"
    (tmp_path / MANIFEST_NAME).write_text(json.dumps(values))
    assert cli.main(["verify", str(tmp_path)]) == 4
    assert "mode is '644'" in capsys.readouterr().err
    values["files"][0]["mode"] = 0o644
    for version in ([3], [3, "x"]):
        values["target"]["version"] = version
        (tmp_path / MANIFEST_NAME).write_text(json.dumps(values))
        assert cli.main(["verify", str(tmp_path)]) == 4
        assert f"version is {version}" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["link", "pipe"])
def test_a_manifest_that_is_no_plain_file_is_refused(
    tmp_path: Path, stored: Pristine, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    if kind == "link":
        (tmp_path / MANIFEST_NAME).symlink_to(stored.tree / MANIFEST_NAME)
    else:
        os.mkfifo(tmp_path / MANIFEST_NAME)
    assert cli.main(["verify", str(tmp_path)]) == 4
    assert "is no plain file" in capsys.readouterr().err
