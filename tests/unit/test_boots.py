"""The witnesses of a boot, from recorded logs and answers of CPython 3.8 to 3.15.

The records are in ``data/boots``: the tree is at /opt/tree, the interpreter was built for /opt/built, and an
application is in /opt/app. The ``-v`` logs end at the third line of the clearing at exit, and lack the
lines on a hook of the machine where they were recorded.
"""

from __future__ import annotations

import ast
import json
import os
import signal
import stat
from collections.abc import Sequence
from importlib.machinery import BuiltinImporter, FileFinder, FrozenImporter, PathFinder
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from zipstrap.verify import boots
from zipstrap.verify.boots import MODES, Boot, BootModule, Mode, Origin, Sighting, TreePaths
from zipstrap.verify.kernel_log import KernelLog, library_files, parse_kernel_log
from zipstrap.verify.verbose_log import LogLoader, parse_verbose_log
from zipstrap.worker import worker_source

DATA = Path(__file__).parent / "data" / "boots"
PLAIN = MODES[0]
RECORDED = ["3.8", "3.9", "3.10", "3.11", "3.11-debian", "3.12", "3.13", "3.14", "3.15"]


def as_is(path: str) -> str:
    return path


def tree_of(name: str) -> TreePaths:
    version = name.partition("-")[0]
    lib = Path("/opt/tree/lib")
    library = lib / f"python{version}"
    return TreePaths(
        lib.parent, lib / f"python{version.replace('.', '')}.zip", library, library / "lib-dynload"
    )


TREE = tree_of("3.13")


def log_text(name: str) -> str:
    return (DATA / f"{name}.log").read_text(encoding="utf-8")


def answer_of(name: str) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads((DATA / f"{name}.json").read_text(encoding="utf-8"))
    return answer


def recorded(name: str) -> Boot:
    tree = tree_of(name)
    probe, facts = boots.read_probe(answer_of(name), tree, resolve=as_is)
    log = boots.read_log(log_text(name), tree, resolve=as_is)
    return Boot(PLAIN, "ran", returncode=0, probe=probe, log=log, facts=facts)


def origins(pairs: Sequence[BootModule]) -> dict[str, Origin | None]:
    return {pair.module: pair.origin for pair in pairs}


# -- both witnesses ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*RECORDED, "3.8-foreign", "3.10-foreign", "3.13-unfrozen"])
def test_witnesses_agree_on_every_module_and_on_their_order(name: str) -> None:
    boot = recorded(name)
    pairs = boots.agreed(boot)
    assert [pair for pair in pairs if not pair.agree] == []
    assert [pair.module for pair in pairs] == [sighting.module for sighting in boot.probe]
    logged = [pair.module for pair in pairs if pair.log is not None and pair.module != "os.path"]
    assert [sighting.module for sighting in boot.log] == logged
    assert {pair.module: pair.reason for pair in pairs if pair.log is None} == boots._UNLOGGED
    assert "__main__" not in origins(pairs)


@pytest.mark.parametrize("name", RECORDED)
def test_library_boots_from_the_archive_or_is_frozen(name: str) -> None:
    seen = origins(boots.agreed(recorded(name)))
    version = tuple(map(int, name.partition("-")[0].split(".")))
    assert set(seen.values()) == {Origin.ARCHIVE, Origin.BUILTIN, Origin.FROZEN}
    for module in ("encodings", "encodings.aliases", "encodings.utf_8"):
        assert seen[module] is Origin.ARCHIVE
    for module in ("site", "os", "os.path", "codecs"):
        assert seen[module] is (Origin.FROZEN if version >= (3, 11) else Origin.ARCHIVE)
    assert seen["zipimport"] is Origin.FROZEN
    assert seen["sys"] is seen["posix"] is Origin.BUILTIN


def test_frozen_modules_off_brings_the_library_from_the_archive() -> None:
    seen = origins(boots.agreed(recorded("3.13-unfrozen")))
    assert seen["site"] is seen["os.path"] is seen["linecache"] is Origin.ARCHIVE
    assert [name for name, origin in seen.items() if origin is Origin.FROZEN] == [
        "_frozen_importlib",
        "_frozen_importlib_external",
        "zipimport",
    ]


@pytest.mark.parametrize("name", ["3.8-foreign", "3.10-foreign"])
def test_start_from_the_compiled_in_prefix_is_foreign_to_both(name: str) -> None:
    pairs = boots.agreed(recorded(name))
    found = {pair.module: pair for pair in pairs if pair.origin not in (Origin.BUILTIN, Origin.FROZEN)}
    assert {"encodings", "site", "os", "codecs"} <= set(found)
    for pair in found.values():
        assert (pair.origin, pair.log) == (Origin.FOREIGN, Origin.FOREIGN)
        assert pair.path is not None
        assert pair.path.startswith("/opt/built/lib/python3.")


def test_alias_is_logged_under_its_own_name() -> None:
    boot = recorded("3.13")
    [pair] = [pair for pair in boots.agreed(boot) if pair.module == "os.path"]
    assert (pair.log, pair.agree, pair.reason) == (Origin.FROZEN, True, "logged as posixpath")


def sighting(module: str, origin: Origin, path: str | None = None) -> Sighting:
    return Sighting(module, origin, path)


@pytest.mark.parametrize(
    ("probe", "log", "expected"),
    [
        # the origins differ
        (
            sighting("a", Origin.ARCHIVE, "/t/z.zip/a.pyc"),
            sighting("a", Origin.FOREIGN, "/o/a.py"),
            (
                Origin.ARCHIVE,
                Origin.FOREIGN,
                "the probe says archive (/t/z.zip/a.pyc), the log says foreign (/o/a.py)",
            ),
        ),
        # the same origin, another file
        (
            sighting("a", Origin.DIRECTORY, "/t/one/a.py"),
            sighting("a", Origin.DIRECTORY, "/t/two/a.py"),
            (
                Origin.DIRECTORY,
                Origin.DIRECTORY,
                "the probe says directory (/t/one/a.py), the log says directory (/t/two/a.py)",
            ),
        ),
        # a loader whose text in the log names no place
        (
            sighting("a", Origin.FROZEN),
            sighting("a", Origin.FOREIGN),
            (
                Origin.FROZEN,
                Origin.FOREIGN,
                "the probe says frozen, the log says foreign (it names no place)",
            ),
        ),
        (sighting("a", Origin.FROZEN), None, (Origin.FROZEN, None, "the log does not name it")),
        (None, sighting("a", Origin.FROZEN), (None, Origin.FROZEN, "only the log names it")),
    ],
)
def test_disagreement_is_told(
    probe: Sighting | None, log: Sighting | None, expected: tuple[Origin | None, Origin | None, str]
) -> None:
    boot = Boot(PLAIN, "ran", probe=(probe,) if probe else (), log=(log,) if log else ())
    [pair] = boots.agreed(boot)
    assert (pair.origin, pair.log, pair.reason) == expected
    assert not pair.agree


def test_facts_are_kept() -> None:
    facts = recorded("3.13").facts
    assert facts is not None
    assert facts.version == (3, 13, 0)
    assert facts.executable == "/opt/tree/bin/python3.13"
    assert (facts.prefix, facts.exec_prefix) == ("/opt/tree", "/opt/tree")
    assert facts.sys_path[1] == "/opt/tree/lib/python313.zip"
    assert facts.stdlib_dir == "/opt/tree/lib/python3.13"
    assert facts.flags["dont_write_bytecode"] == 1
    assert facts.flags["safe_path"] is False
    assert facts.frozen_names["_frozen_importlib"] == "importlib._bootstrap"
    assert facts.libraries is not None
    assert "/opt/built/lib/libpython3.13.so.1.0" in facts.libraries
    assert facts.zlib.sighting is not None
    assert facts.zlib.sighting.origin is Origin.DYNLOAD
    assert any("libz.so" in library for library in facts.zlib.libraries)


def test_zlib_may_be_built_in() -> None:
    facts = recorded("3.15").facts
    assert facts is not None
    assert facts.zlib == boots.Zlib(sighting("zlib", Origin.BUILTIN), None, ())


# -- origins ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "path", "origin"),
    [
        (LogLoader.BUILTIN, None, Origin.BUILTIN),
        # a frozen module's __file__ proves nothing
        (LogLoader.FROZEN, "/elsewhere/os.py", Origin.FROZEN),
        (LogLoader.ZIP, "/opt/tree/lib/python313.zip", Origin.ARCHIVE),
        (LogLoader.ZIP, "/opt/tree/lib/python313.zip/encodings/", Origin.ARCHIVE),
        (LogLoader.ZIP, "/opt/tree/lib/python313.zip.old/os.pyc", Origin.DIRECTORY),
        (LogLoader.ZIP, "/usr/lib/python313.zip/os.pyc", Origin.FOREIGN),
        (LogLoader.OTHER, "/opt/tree/lib/python313.zip/os.pyc", Origin.ARCHIVE),
        (LogLoader.EXTENSION, "/opt/tree/lib/python3.13/lib-dynload/zlib.so", Origin.DYNLOAD),
        (LogLoader.EXTENSION, "/opt/built/lib/python3.13/lib-dynload/zlib.so", Origin.FOREIGN),
        (LogLoader.EXTENSION, "/opt/tree/lib/python3.13/site-packages/x.so", Origin.DIRECTORY),
        (LogLoader.SOURCE, "/opt/tree/lib/python3.13/lib-dynload/trick.py", Origin.DIRECTORY),
        (LogLoader.SOURCE, "/opt/tree/lib/python3.13/os.py", Origin.DIRECTORY),
        (LogLoader.SOURCE, "/opt/tree2/lib/python3.13/os.py", Origin.FOREIGN),
        # what names no place has not been shown to come from the tree
        (LogLoader.OTHER, None, Origin.FOREIGN),
    ],
)
def test_origin_of(kind: LogLoader, path: str | None, origin: Origin) -> None:
    assert boots.origin_of(kind, path, TREE, resolve=as_is) is origin


def test_tree_reached_through_a_link(tmp_path: Path) -> None:
    real, link = tmp_path / "generation-1", tmp_path / "current"
    library = real / "lib" / "python3.13"
    (library / "lib-dynload").mkdir(parents=True)
    (real / "lib" / "python313.zip").touch()
    (library / "outside.py").symlink_to(tmp_path / "outside.py")
    link.symlink_to(real)
    lib = link / "lib"
    tree = TreePaths(link, lib / "python313.zip", lib / "python3.13", lib / "python3.13" / "lib-dynload")
    member = "lib/python313.zip/encodings/aliases.pyc"
    assert boots.origin_of(LogLoader.ZIP, str(real / member), tree) is Origin.ARCHIVE
    assert boots.origin_of(LogLoader.ZIP, str(link / member), tree) is Origin.ARCHIVE
    assert boots.origin_of(LogLoader.SOURCE, str(library / "os.py"), tree) is Origin.DIRECTORY
    assert boots.origin_of(LogLoader.SOURCE, str(library / "outside.py"), tree) is Origin.FOREIGN


def module(name: str, loader: Sequence[str], **more: Any) -> dict[str, Any]:
    blank = dict.fromkeys(("archive", "origin", "file", "search", "frozen_name"))
    return {"name": name, "spec_name": name, "loader": list(loader), **blank, **more}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        # an importer of our own: __file__ under lib/pythonX.Y, for those who know the library by its path
        (
            module(
                "json",
                ["zipstrap_importer.Loader"],
                archive="/opt/tree/lib/python313.zip",
                origin="/opt/tree/lib/python3.13/json/__init__.py",
            ),
            sighting("json", Origin.ARCHIVE, "/opt/tree/lib/python313.zip/json/__init__.py"),
        ),
        # a subclass counts as what it is made from
        (
            module("os", ["hook.Frozen", "_frozen_importlib.FrozenImporter"], file="/opt/tree/os.py"),
            sighting("os", Origin.FROZEN),
        ),
        # a class that only has the name of one of importlib's
        (
            module("os", ["impostor.FrozenImporter"], origin="frozen", file="/evil/os.py"),
            sighting("os", Origin.FOREIGN, "/evil/os.py"),
        ),
        (
            module("space", ["_frozen_importlib_external.NamespaceLoader"], search=["/opt/tree/app/space"]),
            sighting("space", Origin.DIRECTORY, "/opt/tree/app/space"),
        ),
        (module("ghost", []), sighting("ghost", Origin.FOREIGN)),
        (
            module("nick", ["_frozen_importlib.BuiltinImporter"], spec_name="posix"),
            Sighting("nick", Origin.BUILTIN, None, alias_of="posix"),
        ),
    ],
)
def test_unusual_modules(fields: dict[str, Any], expected: Sighting) -> None:
    answer = {**answer_of("3.13"), "modules": [fields]}
    seen, _ = boots.read_probe(answer, TREE, resolve=as_is)
    assert seen == (expected,)


# -- the -v log -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", RECORDED)
def test_log_is_whole_and_names_the_archive(name: str) -> None:
    log = parse_verbose_log(log_text(name))
    assert log.complete
    assert log.archives == (str(tree_of(name).archive),)
    assert LogLoader.OTHER not in {entry.loader for entry in log.entries}


@pytest.mark.parametrize(("name", "dynload"), [("3.8-files", "python3.8"), ("3.13-files", "python3.13")])
def test_log_gives_the_files_of_nested_imports(name: str, dynload: str) -> None:
    tag = dynload.replace("python", "cpython-").replace(".", "")
    found = {entry.module: (entry.loader, entry.path) for entry in parse_verbose_log(log_text(name)).entries}
    assert found["pack"] == (LogLoader.SOURCE, "/opt/app/pack/__init__.py")
    assert found["pack.inner"] == (LogLoader.SOURCE, "/opt/app/pack/inner/__init__.py")
    assert found["pack.data"] == (LogLoader.SOURCE, "/opt/app/pack/data.py")
    assert found["plain"] == (LogLoader.SOURCE, "/opt/app/plain.py")
    # the source, though its bytecode was read
    assert found["cached"] == (LogLoader.SOURCE, "/opt/app/cached.py")
    assert found["bare"] == (LogLoader.SOURCELESS, "/opt/app/bare.pyc")
    assert found["space"] == (LogLoader.NAMESPACE, "/opt/app/space")
    assert found["it's"] == (LogLoader.SOURCE, "/opt/app/it's.py")
    shared = f"/opt/tree/lib/{dynload}/lib-dynload/_json.{tag}-x86_64-linux-gnu.so"
    assert found["_json"] == (LogLoader.EXTENSION, shared)
    assert "failing" not in found


def test_log_survives_what_hooks_print() -> None:
    text = (
        "a hook says hello\nimport 'without a loader'\nimport os # and I tell you why\n"
        "no line end: import 'abc' # <class '_frozen_importlib.FrozenImporter'>\r\n"
        "import 'json' # <importer of \"/opt/tree/lib/python313.zip\">\n"
        "import 'opaque' # <importer without a place>\n"
        "# code object from 'unfinished\n# matches\n"
    )
    log = parse_verbose_log(text)
    assert [(entry.module, entry.loader, entry.path) for entry in log.entries] == [
        ("abc", LogLoader.FROZEN, None),
        ("json", LogLoader.OTHER, "/opt/tree/lib/python313.zip"),
        ("opaque", LogLoader.OTHER, None),
    ]
    assert not log.complete


@settings(deadline=None)
@given(
    st.lists(
        st.one_of(
            st.text(),
            st.sampled_from(log_text("3.8-files").split("\n")),
            st.sampled_from(log_text("3.13").split("\n")).flatmap(
                lambda line: st.integers(0, len(line)).map(lambda end: line[:end])
            ),
        )
    )
)
def test_any_text_is_read(lines: list[str]) -> None:
    text = "\n".join(lines)
    entries = parse_verbose_log(text).entries
    assert len(set(entries)) == len(entries)  # a module that came from two places is there twice
    assert len(boots.read_log(text, TREE, resolve=as_is)) == len(entries)
    parse_kernel_log(text)


# -- the kernel's log -------------------------------------------------------------------------------------


def test_kernel_saw_the_archive_and_libpython() -> None:
    log = parse_kernel_log((DATA / "3.13.strace").read_text(encoding="utf-8"))
    assert log.executed == ("/opt/tree/bin/python3.13",)
    assert library_files(log.opened) == (
        "/opt/built/lib/libpython3.13.so.1.0",
        "/usr/lib/x86_64-linux-gnu/libc.so.6",  # where the link leads
        "/usr/lib/x86_64-linux-gnu/libm.so.6",
        "/opt/tree/lib/python313.zip",
    )
    assert "/opt/tree/lib/python3.13" not in log.opened  # listed, not read
    assert "/opt/tree/bin/python3.13._pth" not in log.opened  # looked for, not there


def test_kernel_saw_the_foreign_library() -> None:
    log = parse_kernel_log((DATA / "3.8-foreign.strace").read_text(encoding="utf-8"))
    files = library_files(log.opened)
    assert "/opt/built/lib/python3.8/encodings/__pycache__/__init__.cpython-38.pyc" in files
    assert [path for path in files if path.startswith("/opt/tree")] == []


def test_kernel_log_of_several_threads_and_odd_paths() -> None:
    text = r"""
[pid    12] openat(AT_FDCWD, "/a/one.py", O_RDONLY <unfinished ...>
[pid    13] openat(AT_FDCWD</w>, "two.so", O_RDONLY) = -1 ENOENT (No such file or directory)
[pid    13] openat(AT_FDCWD</w>, "sub/two.so.1", O_RDONLY|O_CLOEXEC) = 4
[pid    12] <... openat resumed>)       = 3
14 open("/s\303\244\"x\".zip", O_RDONLY)  = 5</s\303\244\"x\".zip>
14 openat2(5</d>, "b.pth", {flags=O_RDONLY, resolve=0}, 24) = 6</d/b\x3e.pth>
14 openat(AT_FDCWD, "/gone.py", O_RDONLY) = 7</gone.py>(deleted)
14 +++ exited with 0 +++
"""
    assert parse_kernel_log(text) == KernelLog(
        (), ("/w/sub/two.so.1", "/a/one.py", '/s\u00e4"x".zip', "/d/b>.pth", "/gone.py")
    )


# -- starting ---------------------------------------------------------------------------------------------

NO_ANSWER = "exit status 0, and no answer that the protocol knows"


def script(folder: Path, text: str) -> Path:
    path = folder / "python3.13"
    path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def test_mode_that_a_version_lacks_is_not_run(tmp_path: Path) -> None:
    boot = boots.gather_boot(tmp_path / "never-started", (3, 10), MODES[-1], TREE)
    assert (boot.status, boot.reason) == ("not run", "-X frozen_modules=off exists from 3.11")


@pytest.mark.parametrize(
    ("text", "returncode", "reason"),
    [
        ("echo 'ModuleNotFoundError: encodings' >&2; echo '<no Python frame>' >&2; exit 1", 1,
         "exit status 1: ModuleNotFoundError: encodings"),
        ("kill -SEGV $$", -signal.SIGSEGV, "killed by SIGSEGV: it printed nothing"),
        ("exit 0", 0, NO_ANSWER),
        ('for last; do :; done; echo "{}" >"$last"', 0, NO_ANSWER),
    ],
)  # fmt: skip
def test_failed_start_is_told(tmp_path: Path, text: str, returncode: int, reason: str) -> None:
    boot = boots.gather_boot(script(tmp_path, text), (3, 13), PLAIN, TREE)
    assert (boot.status, boot.returncode, boot.reason) == ("failed", returncode, reason)
    assert boot.facts is None


def test_start_that_fails_after_the_answer(tmp_path: Path) -> None:
    answer = DATA / "3.13.json"
    text = f'for last; do :; done; cp "{answer}" "$last"; exit 7'
    boot = boots.gather_boot(script(tmp_path, text), (3, 13), PLAIN, TREE)
    assert (boot.status, boot.returncode) == ("failed", 7)
    assert boot.reason == "exit status 7: it printed nothing"
    assert boot.facts is not None


def test_both_witnesses_tell_of_one_start(tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    boots.gather_boot(script(tmp_path, f'echo "$@" >>"{seen}"'), (3, 13), PLAIN, TREE)
    assert seen.read_text().count(" -v ") == 1


@pytest.mark.parametrize(
    ("quiet", "failure"),
    [
        ('cp "$answer" "$last"', ""),
        ("exit 5", "exit status 5: it printed nothing"),
        ("exit 0", NO_ANSWER),
    ],
)
def test_the_plain_start_is_probed_once_more_without_the_log(
    tmp_path: Path, quiet: str, failure: str
) -> None:
    text = f"""
answer='{DATA / "3.13.json"}'
echo "$@" >>'{tmp_path / "seen"}'
for last; do :; done
case " $* " in *" -v "*) cp "$answer" "$last";; *) {quiet};; esac"""
    executable = script(tmp_path, text)
    boot = boots.gather_boot(executable, (3, 13), PLAIN, TREE)
    assert (boot.status, boot.quiet_failure) == ("ran", failure)
    assert boot.quiet == (None if failure else boot.probe)
    assert boots.differing(boot) == ()
    assert (tmp_path / "seen").read_text().count(" -c ") == 2
    other = boots.gather_boot(executable, (3, 13), MODES[1], TREE)
    assert (other.status, other.quiet, other.quiet_failure) == ("ran", None, "")
    assert (tmp_path / "seen").read_text().count(" -c ") == 3


def test_the_log_ends_where_the_probe_says(tmp_path: Path) -> None:
    text = "import 'a' # <class '_frozen_importlib.FrozenImporter'>\n"
    marked = text + "# zipstrap: here the boot ends\n" + text.replace("'a'", "'b'")
    assert [entry.module for entry in parse_verbose_log(marked).entries] == ["a"]


def test_missing_executable_is_a_failed_boot(tmp_path: Path) -> None:
    boot = boots.gather_boot(tmp_path / "python", (3, 13), PLAIN, TREE)
    assert (boot.status, boot.returncode) == ("failed", None)
    assert boot.reason == "it cannot be run: No such file or directory"


def test_endless_start_is_a_failed_boot(tmp_path: Path) -> None:
    text = "exec tail -f /dev/null"
    boot = boots.gather_boot(script(tmp_path, text), (3, 13), PLAIN, TREE, timeout=0.2)
    assert (boot.status, boot.reason) == ("failed", "no end after 0.2 s")


def test_child_of_an_endless_start_is_ended_too(tmp_path: Path) -> None:
    # as strace does, which leaves what it traced running when it is killed
    text = "tail -f /dev/null & wait"
    boot = boots.gather_boot(script(tmp_path, text), (3, 13), PLAIN, TREE, timeout=0.2)
    assert (boot.status, boot.reason) == ("failed", "no end after 0.2 s")


def test_what_moves_a_start_is_not_passed_on(tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    text = f'{{ pwd; ls -A; echo "$PYTHONHOME$PYTHONEXECUTABLE$KEPT"; }} >>"{seen}"'
    environ = {"PATH": os.environ["PATH"], "PYTHONHOME": "home", "PYTHONEXECUTABLE": "other", "KEPT": "kept"}
    boots.gather_boot(script(tmp_path, text), (3, 13), PLAIN, TREE, environ=environ)
    folder, rest = seen.read_text(encoding="utf-8").split("\n", 1)
    assert rest == "kept\n"  # an empty folder, nothing of PYTHON*
    assert not Path(folder).exists()


def test_kernel_is_not_asked_where_there_is_no_strace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    executable = script(tmp_path, "exit 0")
    monkeypatch.setenv("PATH", str(tmp_path))
    boot = boots.gather_boot(executable, (3, 13), PLAIN, TREE, kernel=True)
    assert (boot.opened, boot.opened_reason) == (None, "not run: there is no strace")


def test_forbidden_tracing_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forbidden = tmp_path / "strace"
    forbidden.write_text(
        "#!/bin/sh\necho 'strace: ptrace(PTRACE_TRACEME): Operation not permitted' >&2; exit 1\n"
    )
    forbidden.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    boot = boots.gather_boot(script(tmp_path, "exit 0"), (3, 13), PLAIN, TREE, kernel=True)
    assert boot.opened is None
    assert boot.opened_reason == (
        "not run: strace saw no start "
        "(exit status 1: strace: ptrace(PTRACE_TRACEME): Operation not permitted)"
    )


def test_modes_are_told_apart_and_in_order(tmp_path: Path) -> None:
    executable = script(tmp_path, "exit 3")
    gathered = boots.gather_boots(executable, (3, 9), TREE)
    assert [boot.mode for boot in gathered] == list(MODES)
    assert [boot.status for boot in gathered] == ["failed"] * 5 + ["not run"]
    one = boots.gather_boots(executable, (3, 9), TREE, modes=(Mode("mine", ("-q",)),), jobs=1)
    assert [(boot.mode.name, boot.reason) for boot in one] == [("mine", "exit status 3: it printed nothing")]


# -- the probe's text -------------------------------------------------------------------------------------

PROBE: dict[str, Any] = {"__name__": "probe"}
exec(compile(worker_source("boot_probe"), "boot_probe.py", "exec"), PROBE)


def test_probe_copies_the_modules_first_and_imports_nothing_but_zlib() -> None:
    body = ast.parse(worker_source("boot_probe"), feature_version=(3, 8)).body
    documentation, first, second, *rest = body
    assert isinstance(documentation, ast.Expr)
    assert ast.unparse(first) == "import sys"
    assert ast.unparse(second) == "BOOT = list(sys.modules.items())"
    imports = [
        ast.unparse(node)
        for part in rest
        for node in ast.walk(part)
        if isinstance(node, (ast.Import, ast.ImportFrom))
    ]
    assert imports == ["import zlib"]


@settings(deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(st.characters(codec=None, exclude_categories=())),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_probe_writes_json(value: Any) -> None:
    text = PROBE["to_json"](value)
    assert text.isascii()
    # two lone surrogates side by side are one character to whoever reads them
    assert json.loads(text) == json.loads(json.dumps(value))


def test_probe_tells_impostors_from_the_importers_of_cpython() -> None:
    name = PROBE["importer_name"]
    assert [name(finder) for finder in (BuiltinImporter, FrozenImporter, PathFinder)] == [
        "_frozen_importlib.BuiltinImporter",
        "_frozen_importlib.FrozenImporter",
        "_frozen_importlib_external.PathFinder",
    ]
    own = str(name(FileFinder.path_hook()))
    # importlib is imported here
    assert own == "importlib._bootstrap_external.FileFinder.path_hook.<locals>.path_hook_for_FileFinder"
    for fake in (
        type("BuiltinImporter", (), {"__module__": "_frozen_importlib"}),
        type("zipimporter", (), {"__module__": "zipimport"})(),
    ):
        assert name(fake).endswith("r (not CPython's own)")

    def path_hook_for_FileFinder(path: str) -> None:  # noqa: N802 - it is CPython's name
        raise ImportError(path)

    path_hook_for_FileFinder.__module__ = "importlib._bootstrap_external"
    path_hook_for_FileFinder.__qualname__ = own.removeprefix("importlib._bootstrap_external.")
    assert name(path_hook_for_FileFinder) == f"{own} (not CPython's own)"
