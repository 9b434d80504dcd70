"""Extension modules from an archive, and the Python of two files that they make possible."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
import textwrap
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
from zipstrap.interpreter import Facts, probe
from zipstrap.verify import run
from zipstrap.verify.boots import MODES
from zipstrap.verify.report import verification_to_text
from zipstrap.verify.run import verify_tree

from .interpreters import Hidden, Target, lack
from .trees import Tree, make_tree

LOADER = Path(__file__).parents[2] / "site_hooks"
LONG = "ZIPSTRAP_TEST_ALL_EXTENSIONS"

#: what imports one module, from the archive or from its folder, and prints what can be seen of it
ONE = """
import os, sys
name, archive = sys.argv[1:3]
before = sorted(os.listdir("/proc/self/fd"))
if archive:
    sys.path.insert(0, archive)
    sys.path[:] = [entry for entry in sys.path if not entry.endswith("lib-dynload")]
    import zipstrap_extensions
    zipstrap_extensions.add_archive(archive)
    before = sorted(os.listdir("/proc/self/fd"))
seen = {}
try:
    module = __import__(name)
    seen["names"] = sorted(dir(module))
    seen["file"] = os.path.basename(module.__file__)
    seen["own"] = [module.__name__, module.__package__, module.__spec__.name, module.__spec__.parent]
    seen["same"] = module.__spec__.origin == module.__file__ == module.__loader__.path
    seen["source"] = [module.__loader__.get_code(name), module.__loader__.get_source(name)]
    machinery = __import__("importlib.machinery").machinery
    seen["is"] = isinstance(module.__loader__, machinery.ExtensionFileLoader)
    if archive:
        assert module.__file__.startswith(archive + "/"), module.__file__
        mapped = open("/proc/self/maps").read()
        assert "/memfd:" + os.path.basename(module.__file__)[:52] in mapped, mapped
    __import__("importlib").reload(module)
    del sys.modules[name]
    seen["again"] = sorted(dir(__import__(name)))
except Exception as error:
    seen["error"] = "%s: %s" % (type(error).__name__, error)
seen["left"] = len(os.listdir("/proc/self/fd")) - len(before)
print(seen, flush=True)
"""

#: the same for all of them, each in a fork of a process that has loaded none
ALL = """
import os, sys
names, archive, code = sys.argv[1].split(), sys.argv[2], sys.argv[3]
for name in names:
    for place in ("", archive):
        child = os.fork()
        if not child:
            sys.argv[1:] = [name, place]
            try:
                exec(compile(code, "one", "exec"), {"__name__": "__main__"})
            finally:
                os._exit(0)
        status = os.waitpid(child, 0)[1]
        if status:
            print({"status": status}, flush=True)
"""


@dataclass(frozen=True)
class Packed:
    """All of a target's lib-dynload in one archive, as an interpreter without a tree sees it."""

    target: Target
    facts: Facts
    archive: Path
    names: tuple[str, ...]

    def run(
        self, code: str, *arguments: str, env: Mapping[str, str] | None = None, alone: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run *code*; *alone*, with the archive in the place of lib-dynload."""
        start = f"""
            import sys
            ARCHIVE = {str(self.archive)!r}
            sys.path[:] = [ARCHIVE] + [entry for entry in sys.path if not entry.endswith("lib-dynload")]
            import zipstrap_extensions
            zipstrap_extensions.add_archive(ARCHIVE)
        """
        return subprocess.run(
            [
                self.target.executable,
                "-S",
                "-W",
                "ignore",
                "-c",
                (textwrap.dedent(start) if alone else "") + code,
                *arguments,
            ],
            env={**usual_environment(), **(env or {})},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )


def usual_environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "ZIPSTRAP"))}
    return {**kept, "PYTHONPATH": str(LOADER), "PYTHONDONTWRITEBYTECODE": "1"}


@pytest.fixture(scope="module")
def packed(target: Target, tmp_path_factory: pytest.TempPathFactory) -> Packed:
    return pack(target, tmp_path_factory.mktemp("packed") / "modules.zip")


def pack(target: Target, archive: Path) -> Packed:
    facts = probe(target.executable)
    names = []
    with zipfile.ZipFile(archive, "w") as file:
        for path in sorted(Path(facts.library, "lib-dynload").glob("*.so")):
            file.write(path, path.name)
            names.append(path.name.partition(".")[0])
    return Packed(target, facts, archive, tuple(names))


@pytest.fixture(scope="module")
def two_files(target: Target, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tree]:
    folder = tmp_path_factory.mktemp("two")
    yield make_tree(target, folder / "T", "--extensions", "archive")
    shutil.rmtree(folder)


# ---- all of them -----------------------------------------------------------------------------------------


def test_every_extension_module_is_what_it_is_from_its_folder(packed: Packed) -> None:
    done = packed.run(ALL, " ".join(packed.names), str(packed.archive), ONE, alone=False)
    assert (done.returncode, done.stderr) == (0, "")
    answers = [ast.literal_eval(line) for line in done.stdout.splitlines()]
    assert len(answers) == 2 * len(packed.names)
    differing = {
        name: (disk, archive)
        for name, disk, archive in zip(packed.names, answers[::2], answers[1::2], strict=True)
        if disk != archive
    }
    assert differing == {}
    # what fails here fails from its folder, too
    assert sum("names" in answer for answer in answers) > len(packed.names)


@pytest.mark.skipif(not os.environ.get(LONG), reason=f"{LONG}=1 takes a process for each (nox -s extensions)")
def test_every_extension_module_in_a_fresh_process(packed: Packed) -> None:
    failed = {}
    for name in packed.names:
        disk, archive = (
            packed.run(ONE, name, place, alone=False).stdout for place in ("", str(packed.archive))
        )
        if disk != archive or "'names'" not in archive:
            failed[name] = (disk, archive)
    print(f"{packed.target.id}: {len(packed.names) - len(failed)} of {len(packed.names)}", failed)
    assert {name for name, (disk, archive) in failed.items() if disk != archive} == set()


def test_threads_forks_and_subinterpreters(packed: Packed) -> None:
    code = """
import os, threading
names = "_json _random _struct _heapq _bisect math _csv array select _pickle zlib unicodedata".split()
ready = threading.Barrier(8)
failed = []
def load(number):
    ready.wait()
    try:
        for name in names[number % 3:] + names[:number % 3]:
            __import__(name)
    except BaseException as error:
        failed.append(error)
threads = [threading.Thread(target=load, args=(number,)) for number in range(8)]
[thread.start() for thread in threads], [thread.join() for thread in threads]
assert not failed, failed
child = os.fork()
if not child:
    import _datetime, _elementtree, _sqlite3
    os._exit(0 if _sqlite3.__file__.startswith(ARCHIVE) else 1)
assert os.waitpid(child, 0)[1] == 0
try:
    import _interpreters as interpreters
except ImportError:
    try:
        import _xxsubinterpreters as interpreters
    except ImportError:
        interpreters = None
inside = '''
import sys
sys.path[:] = [%r] + [entry for entry in sys.path if not entry.endswith("lib-dynload")]
import zipstrap_extensions
zipstrap_extensions.add_archive(%r)
try:
    import NAME
except ImportError as error:
    assert "does not support loading in subinterpreters" in str(error), error
''' % (ARCHIVE, ARCHIVE)
if interpreters is not None:
    for name in ("_queue", "_queue", "_csv", "_curses"):
        one = interpreters.create()
        said = getattr(interpreters, "exec", interpreters.run_string)(one, inside.replace("NAME", name))
        assert said is None, said
        interpreters.destroy(one)
mapped = open("/proc/self/maps").read()
executable = [line for line in mapped.splitlines() if "/memfd:_csv." in line and " r-xp " in line]
assert len(executable) <= 1, executable
print("done")
"""
    # what is built in has no file; the names are there in any case
    done = packed.run(code)
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")


# ---- two files -------------------------------------------------------------------------------------------

WORK = """
import asyncio, ctypes, decimal, json, multiprocessing, os, sqlite3, ssl, sys, zlib

def square(number):
    import _decimal
    assert _decimal.__loader__.archive == sys.path[1], _decimal.__loader__
    return number * number, multiprocessing.get_start_method()

async def nothing():
    await asyncio.sleep(0)
    return 7

if __name__ == "__main__":
    tree = os.path.dirname(os.path.dirname(sys.executable))
    assert json.loads("[1.5]") == [1.5]
    assert ssl.create_default_context().check_hostname
    assert sqlite3.connect(":memory:").execute("select 6 * 7").fetchone() == (42,)
    assert asyncio.run(nothing()) == 7
    assert ctypes.CDLL(None).getpid() == os.getpid()
    assert str(decimal.Decimal(1) / 3).startswith("0.333")
    multiprocessing.set_start_method("spawn")
    with multiprocessing.Pool(2) as pool:
        assert pool.map(square, range(3)) == [(n * n, "spawn") for n in range(3)]
    import _ctypes, _decimal, _sqlite3, _ssl
    for module in (_ctypes, _decimal, _sqlite3, _ssl):
        assert module.__loader__.archive == sys.path[1], module
        assert module.__file__.startswith(tree), module
    print("done")
"""


def files_of(root: Path) -> list[str]:
    return sorted(
        path.relative_to(root).as_posix()
        for path in root.rglob("*")
        if path.is_file() and not path.is_symlink()
    )


def test_two_files_run_with_everything_else_hidden(
    two_files: Tree,
    hidden: Callable[[Iterable[Path]], Hidden],
    clean_env: dict[str, str],
    tmp_path: Path,
) -> None:
    layout = two_files.manifest.layout
    expected = {layout.executable, layout.archive, "zipstrap-manifest.json"}
    # what a target's own build asks for
    expected |= {landmark.path for landmark in layout.landmarks if not landmark.is_folder}
    expected |= {file.path for file in two_files.manifest.files if file.kind == "shared library"}
    assert set(files_of(two_files.root)) == expected
    assert list((two_files.root / layout.dynload).iterdir()) == []
    alone = tmp_path / "alone"
    for name in expected - {"zipstrap-manifest.json"}:
        (alone / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(two_files.root / name, alone / name)
    (alone / layout.dynload).mkdir(parents=True)
    script = tmp_path / "work.py"
    script.write_text(WORK)
    away = hidden([Path(probe(two_files.target.executable).library), two_files.root])
    assert away.run([two_files.target.executable, "-c", "import json"], env=clean_env).returncode != 0
    done = away.run([alone / layout.executable, script], env=clean_env, cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")
    # nothing was put on disk
    assert set(files_of(alone)) == expected - {"zipstrap-manifest.json"}
    assert list(Path(clean_env["HOME"]).rglob("*")) == []


def test_verify_tells_the_origin_of_each(two_files: Tree) -> None:
    told = {check["code"]: check["status"] for check in two_files.report["verification"]["checks"]}
    assert (told["ZS108"], told["ZS311"]) == ("passed", "passed")
    code = (
        "import pkgutil, zlib; print(*[m.name for m in pkgutil.iter_modules()]); print(zlib.__spec__.origin)"
    )
    listed, origin = two_files.run("-c", code).stdout.splitlines()
    assert [name for name in listed.split() if "." in name or name.startswith("zipstrap_")] == []
    code = (
        "import pkgutil\n"
        "print([m.name for m in pkgutil.iter_modules() if m.module_finder.find_spec(m.name) is None])"
    )
    assert two_files.run("-c", code).stdout == "[]\n"
    members = {member.name for member in two_files.manifest.members}
    extensions = {name.partition("/")[2] for name in members if name.endswith(".so")}
    assert {name.partition(".")[0] for name in extensions} <= set(listed.split())
    if origin != "built-in":
        assert origin.startswith(f"{two_files.root}/{two_files.manifest.layout.dynload}/zlib.")
    loaded = two_files.run("-v", "-c", "import _sqlite3").stderr
    assert f"from '{two_files.root}/{two_files.manifest.layout.archive}/lib-dynload/_sqlite3." in loaded


def test_verify_finds_what_lies_beside_the_archive(
    two_files: Tree, packed: Packed, monkeypatch: pytest.MonkeyPatch
) -> None:
    with zipfile.ZipFile(packed.archive) as file:
        name = next(name for name in file.namelist() if name.startswith("_lsprof."))
        path = two_files.root / two_files.manifest.layout.dynload / name
        path.write_bytes(file.read(name))
    monkeypatch.setattr(run, "MODES", MODES[:1])
    try:
        verification = verify_tree(two_files.root)
    finally:
        path.unlink()
    assert verification.codes == ("ZS108",)
    assert [str(result.findings[0].text) for result in verification.results if result.code == "ZS108"] == [
        f"{path.relative_to(two_files.root)} lies beside the archive"
    ]
    assert not verification.passed


def test_verify_finds_an_extension_module_that_cannot_be_loaded(
    two_files: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = two_files.root / two_files.manifest.layout.archive
    member = next(each for each in two_files.manifest.members if "/_lsprof." in each.name)
    whole = archive.read_bytes()
    at = member.data_offset
    changed = whole[at : at + 18] + (0xF3).to_bytes(2, "little") + whole[at + 20 : at + member.size]
    crcs = [crc.to_bytes(4, "little") for crc in (member.crc, zlib.crc32(changed))]
    # in both headers of the member
    broken = whole[:at] + changed + whole[at + member.size :]
    assert broken.count(crcs[0]) == 2
    monkeypatch.setattr(run, "MODES", MODES[:1])
    try:
        archive.write_bytes(broken.replace(*crcs))
        verification = verify_tree(two_files.root)
    finally:
        archive.write_bytes(whole)
    assert verification.codes == ("ZS311",), verification_to_text(verification)
    (result,) = (each for each in verification.results if each.code == "ZS311")
    assert "_lsprof cannot be imported: ImportError: zipstrap: " in result.findings[0].text
    assert "is for another machine" in result.findings[0].text


# ---- where memory is forbidden ---------------------------------------------------------------------------

#: system call numbers of memfd_create(2)
_MEMFD_CREATE = {"x86_64": 319, "aarch64": 279}

#: lets memfd_create(2) fail with EPERM, and runs its arguments: seccomp(2), three BPF instructions
_FORBID = """
import ctypes, os, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
program = b"".join(struct.pack("HBBI", *each) for each in (
    (0x20, 0, 0, 0), (0x15, 0, 1, int(sys.argv[1])), (0x06, 0, 0, 0x00050001), (0x06, 0, 0, 0x7FFF0000)))
buffer = ctypes.create_string_buffer(program)
filter = struct.pack("HxxxxxxP", 4, ctypes.addressof(buffer))
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.prctl(22, 2, ctypes.c_char_p(filter), 0, 0) == 0, os.strerror(ctypes.get_errno())
os.execv(sys.argv[2], sys.argv[2:])
"""

#: imports _queue, which has nothing built in beside it here, and says from where
_USE = """
import sys
sys.path[:] = [sys.argv[1]] + [entry for entry in sys.path if not entry.endswith("lib-dynload")]
import zipstrap_extensions
zipstrap_extensions.add_archive(sys.argv[1])
import MODULE
print(MODULE.__file__)
print(sorted({line.split(None, 5)[5].strip() for line in open("/proc/self/maps") if "MODULE" in line}))
""".replace("MODULE", "_lsprof")


@dataclass(frozen=True)
class Forbidden:
    """One interpreter, with its own home, that may or may not make files in memory."""

    packed: Packed
    home: Path

    @property
    def folder(self) -> Path:
        return self.home / ".cache" / "zipstrap-extensions"

    def run(
        self, before: Iterable[str | Path] = (), code: str = _USE, **env: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*before, self.packed.target.executable, "-s", "-c", code, self.packed.archive],
            env={**usual_environment(), "HOME": str(self.home), "XDG_CACHE_HOME": "", **env},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def forbid(self, **env: str) -> subprocess.CompletedProcess[str]:
        number = _MEMFD_CREATE.get(os.uname().machine)
        if number is None:
            pytest.skip(f"the number of memfd_create is not known for {os.uname().machine}")
        return self.run((sys.executable, "-c", _FORBID, str(number)), **env)

    def refused(self, words: str, **env: str) -> None:
        done = self.forbid(**env)
        assert done.returncode == 1
        last = done.stderr.splitlines()[-1]
        assert last.startswith("ImportError: zipstrap: "), done.stderr
        assert words in last
        assert done.stdout == ""


@pytest.fixture(params=[0, -1], ids=["oldest", "newest"])
def forbidden(request: pytest.FixtureRequest, interpreters: list[Target], tmp_path: Path) -> Forbidden:
    """Give two interpreters in turn: what is tried is the system's doing, and the same code in all."""
    if not interpreters:
        lack(request.config, "no CPython 3.8 to 3.15 here; name one in ZIPSTRAP_TEST_PYTHONS")
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    return Forbidden(pack(interpreters[request.param], tmp_path / "modules.zip"), home)


def test_a_private_folder_takes_the_place_of_memory(forbidden: Forbidden) -> None:
    done = forbidden.run()
    assert "/memfd:_lsprof" in done.stdout, done.stderr
    assert not forbidden.folder.exists()
    for _ in range(2):
        done = forbidden.forbid()
        assert (done.returncode, done.stderr) == (0, "")
        (file,) = forbidden.folder.iterdir()
        assert done.stdout.splitlines()[0].startswith(f"{forbidden.packed.archive}/_lsprof.")
        assert f"['{file}']" in done.stdout
    assert forbidden.folder.stat().st_mode & 0o777 == 0o700
    assert file.stat().st_mode & 0o777 == 0o500
    own = forbidden.home / "own"
    done = forbidden.run(ZIPSTRAP_EXTENSION_CACHE=str(own))
    assert [path.name for path in own.iterdir()] == [file.name], done.stderr


def test_a_folder_that_others_could_change_is_refused(forbidden: Forbidden, tmp_path: Path) -> None:
    assert forbidden.forbid().returncode == 0
    (file,) = forbidden.folder.iterdir()
    # what was there: tampered with, no file, another's permission
    whole = file.read_bytes()
    for seed, words in (
        (lambda: file.write_bytes(whole[:-1] + b"!"), "is not what the archive holds; remove it"),
        (lambda: file.write_bytes(whole[:100]), "is not what the archive holds; remove it"),
        (lambda: file.mkdir(), "is no plain file; remove it"),
        (lambda: os.mkfifo(file), "is no plain file; remove it"),
        (
            lambda: file.symlink_to(shutil.copy(forbidden.packed.archive, tmp_path / "x")),
            "is a symbolic link",
        ),
        (lambda: (file.write_bytes(whole), file.chmod(0o520)), "can be written by others (mode 520)"),
    ):
        _remove(file)
        seed()
        forbidden.refused(words)
    _remove(file)
    assert forbidden.forbid().returncode == 0
    # the folder
    for mode in (0o755, 0o770, 0o701):
        forbidden.folder.chmod(mode)
        forbidden.refused(f"can be reached by others (mode {mode:o}, not 700)")
    moved = forbidden.folder.rename(tmp_path / "moved")
    moved.chmod(0o700)
    forbidden.folder.symlink_to(moved)
    forbidden.refused("is a symbolic link")
    forbidden.folder.unlink()
    forbidden.folder.write_text("a file")
    forbidden.refused("cannot be used")
    forbidden.folder.unlink()
    # the way to it
    forbidden.folder.parent.chmod(0o777)
    forbidden.refused("can be written by others (mode 777)")
    forbidden.folder.parent.chmod(0o1777)
    assert forbidden.forbid().returncode == 0
    forbidden.folder.parent.chmod(0o700)
    link = tmp_path / "link"
    link.symlink_to(forbidden.home)
    assert forbidden.forbid(HOME=str(link)).returncode == 0
    if os.geteuid() == 0:  # others' folders cannot be made by anybody else
        for path, words in (
            (file, ""),
            (forbidden.folder, ", not by 0, who runs this"),
            (forbidden.home, ""),
        ):
            os.chown(path, 12345, -1)
            forbidden.refused(f"is owned by user 12345{words}")
            os.chown(path, 0, -1)
    assert forbidden.forbid().returncode == 0


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        path.rmdir()
    else:
        path.unlink(missing_ok=True)


def test_many_processes_fill_the_folder_at_once(forbidden: Forbidden) -> None:
    with ThreadPoolExecutor(6) as pool:
        runs = list(pool.map(lambda _: forbidden.forbid(), range(6)))
    assert [(done.returncode, done.stderr) for done in runs] == [(0, "")] * 6
    assert len(list(forbidden.folder.iterdir())) == 1


def test_without_proc_and_with_memfd_noexec(
    forbidden: Forbidden, hidden: Callable[[Iterable[Path]], Hidden]
) -> None:
    code = _USE.rpartition("print(sorted")[0]
    away = hidden([Path("/proc")])
    done = forbidden.run(away.command([]), code)
    assert (done.returncode, done.stderr) == (0, "")
    assert [path.name.partition("-")[0] for path in forbidden.folder.iterdir()] == ["_lsprof"]
    shutil.rmtree(forbidden.folder)
    setting = Path("/proc/sys/vm/memfd_noexec")
    if not setting.exists() or os.geteuid() != 0:
        return  # Linux before 6.3, or nobody who may set it
    # it holds in the process namespace that it is set in
    set_it = f'echo 2 > {setting} && exec "$@"'
    done = forbidden.run(("unshare", "--pid", "--fork", "--mount-proc", "sh", "-c", set_it, "sh"))
    assert (done.returncode, done.stderr) == (0, "")
    assert "/memfd:_lsprof" in done.stdout
    assert not forbidden.folder.exists()


# ---- what cannot be loaded -------------------------------------------------------------------------------


def test_what_is_for_another_python_is_told_and_not_run(packed: Packed, tmp_path: Path) -> None:
    with zipfile.ZipFile(packed.archive) as file:
        name = next(name for name in file.namelist() if name.startswith("_lsprof."))
        data = file.read(name)
    suffix = name[len("_lsprof") :]
    other_machine = data[:18] + (0xF3).to_bytes(2, "little") + data[20:]
    archive = tmp_path / "bad.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr(f"machine{suffix}", other_machine)
        file.writestr(f"bits{suffix}", data[:4] + b"\x01" + data[5:])
        file.writestr(f"text{suffix}", b"print('run')")
        file.writestr(f"cut{suffix}", data[:5000])
        file.writestr(f"nothing{suffix}", b"")
        file.writestr(f"another{suffix}", data)  # has PyInit__lsprof
        file.writestr("old.cpython-36m-x86_64-linux-gnu.so", data)
        file.writestr("both.cpython-36m-x86_64-linux-gnu.so", data)
        file.writestr("both.py", "")
        file.writestr("pack/__init__.py", "from . import inner")
        file.writestr("pack/inner.cpython-36m-x86_64-linux-gnu.so", data)
    code = """
import sys
sys.path.insert(0, sys.argv[1])
import zipstrap_extensions
print(len(zipstrap_extensions.add_archive(sys.argv[1])), len(zipstrap_extensions.add_archive(sys.argv[1])))
for name in "machine bits text cut nothing another old both pack".split():
    try:
        __import__(name)
        print(name, "imported")
    except ImportError as error:
        print(name, type(error).__name__, str(error).replace(sys.argv[1], "ARCHIVE"), error.name)
    assert name == "both" or name not in sys.modules
try:
    zipstrap_extensions.add_archive(sys.argv[0])
except ImportError as error:
    print(type(error).__name__)
mapped = [line for line in open("/proc/self/maps") if "/memfd:" in line]
assert all("/memfd:another" in line for line in mapped), mapped
"""
    done = subprocess.run(
        [packed.target.executable, "-s", "-c", code, archive],
        env=usual_environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    first, *told, last = done.stdout.splitlines()
    assert (first, last) == ("6 6", "ZipImportError")
    own = "64 bits, little-endian, ELF machine 62"
    expected = {
        "machine": f"ImportError zipstrap: ARCHIVE/machine{suffix} is for another machine "
        f"(64 bits, little-endian, ELF machine 243; this interpreter is ",
        "bits": f"ImportError zipstrap: ARCHIVE/bits{suffix} is for another machine (32 bits",
        "text": f"ImportError zipstrap: ARCHIVE/text{suffix} is no shared object: it does not begin",
        "cut": f"ImportError zipstrap: ARCHIVE/cut{suffix} is cut off: it has 5000 bytes",
        "nothing": f"ImportError zipstrap: ARCHIVE/nothing{suffix} is no shared object",
        "another": "ImportError dynamic module does not define module export function (",
        "old": "ModuleNotFoundError No module named 'old': ARCHIVE/old.cpython-36m-x86_64-linux-gnu.so is",
        "both": "imported",
        "pack": "ImportError",
    }
    assert own or told
    for line in told:
        name, _, text = line.partition(" ")
        assert text.startswith(expected[name]), line
    assert len(told) == len(expected)


# ---- shared libraries beside a module --------------------------------------------------------------------


def test_a_library_beside_a_module_is_loaded_from_the_archive(
    packed: Packed, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """As numpy's wheels have theirs: in a folder beside the package, found by a run path with $ORIGIN."""
    compiler = shutil.which("cc")
    if compiler is None:
        lack(request.config, "no C compiler here, to make a library and a module that needs it")
    headers = packed.run("import sysconfig; print(sysconfig.get_path('include'))", alone=False).stdout.strip()
    if not Path(headers, "Python.h").is_file():
        headers = str(packed.archive.parent)  # Debian has them in a package of its own
    build = tmp_path / "build"
    (build / "pack").mkdir(parents=True)
    (build / "pack.libs").mkdir()
    library = build / "pack.libs" / "libzipstrap-inner-1.so"
    outer = build / "pack.libs" / "libzipstrap-outer-1.so"
    module = build / "pack" / f"inner{packed.facts.extension_suffixes[0]}"
    sources = {
        "inner.c": "int inner(void) { return 42; }",
        "outer.c": "int inner(void); int outer(void) { return inner(); }",
        "module.c": """
            extern void *PyLong_FromLong(long), *PyImport_AddModule(const char *);
            extern int PyObject_SetAttrString(void *, const char *, void *), outer(void);
            void *PyInit_inner(void)
            {
                void *module = PyImport_AddModule("pack.made");
                PyObject_SetAttrString(module, "answer", PyLong_FromLong(outer()));
                return 0;
            }
        """,
    }
    for name, text in sources.items():
        (tmp_path / name).write_text(text)
    rpath = "-Wl,-rpath,$ORIGIN"
    for command in (
        ["inner.c", "-o", library, f"-Wl,-soname,{library.name}"],
        ["outer.c", "-o", outer, f"-Wl,-soname,{outer.name}", rpath, library],
        ["module.c", "-o", module, f"{rpath}/../pack.libs", outer],
    ):
        subprocess.run([compiler, "-shared", "-fPIC", *command], cwd=tmp_path, check=True, timeout=60)
    archive = tmp_path / "pack.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for path in (library, outer, module):
            file.write(path, path.relative_to(build).as_posix())
        file.writestr("pack/__init__.py", "")
    shutil.rmtree(build)
    code = """
import sys
sys.path.insert(0, sys.argv[1])
import zipstrap_extensions
zipstrap_extensions.add_archive(sys.argv[1])
try:
    import pack.inner
except SystemError as error:  # this module makes no module of itself
    pass
print(sys.modules["pack.made"].answer)
mapped = {line.split("/memfd:")[1].partition(":")[0] for line in open("/proc/self/maps") if "/memfd:" in line}
print(*sorted(mapped))
"""
    done = packed.run(code, str(archive), alone=False)
    names = sorted([library.name, outer.name, module.name])
    assert (done.stdout, done.stderr, done.returncode) == (f"42\n{' '.join(names)}\n", "", 0)


@pytest.mark.skipif(not os.environ.get(LONG), reason=f"{LONG}=1 fetches numpy's wheel (nox -s extensions)")
def test_numpy_from_its_wheel(packed: Packed, tmp_path: Path) -> None:
    fetch = ["-m", "pip", "download", "-q", "--no-deps", "--only-binary", ":all:", "-d", tmp_path, "numpy"]
    done = subprocess.run(
        [packed.target.executable, *fetch], capture_output=True, text=True, timeout=300, check=False
    )
    if done.returncode:
        pytest.skip(f"pip gave no wheel of numpy for {packed.target.id}: {done.stderr.strip()[-200:]}")
    (wheel,) = tmp_path.glob("numpy-*.whl")
    code = """
import sys
sys.path.insert(0, sys.argv[1])
import zipstrap_extensions
count = len(zipstrap_extensions.add_archive(sys.argv[1]))
import numpy
random = numpy.random.RandomState(1)
square = random.rand(200, 200)
assert numpy.allclose(numpy.linalg.inv(square) @ square, numpy.eye(200))
assert numpy.allclose(numpy.fft.ifft(numpy.fft.fft(square)).real, square)
print(numpy.__version__, count, numpy.__file__.startswith(sys.argv[1]))
mapped = [line.split("/memfd:")[1] for line in open("/proc/self/maps") if "blas" in line]
print(sorted({line.partition(":")[0] for line in mapped}))
"""
    done = packed.run(code, str(wheel), alone=False)
    assert (done.returncode, done.stderr) == (0, "")
    print(packed.target.id, done.stdout)
    assert "openblas" in done.stdout.splitlines()[1]
    assert " True" in done.stdout.splitlines()[0]
