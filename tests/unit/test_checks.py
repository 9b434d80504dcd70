"""The judging half of verify, on evidence that is written by hand."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from zipstrap.archive import MemberRecord
from zipstrap.data import checks
from zipstrap.hooks import ForeignHook
from zipstrap.layout import Landmark, Layout, path_file_text
from zipstrap.linkage import Linkage, Missing
from zipstrap.manifest import MANIFEST_NAME, FileRecord, Manifest, Target
from zipstrap.verify.boots import MODES, Boot, BootModule, Origin, ProbeFacts, SeenExtension, Sighting, Zlib
from zipstrap.verify.checks import CheckResult, judge
from zipstrap.verify.evidence import Evidence, SeenArchive, SeenBytecode, SeenFile, Writable, who_else

ROOT = Path("/opt/tree")
ARCHIVE = "lib/python313.zip"
LIBRARY = "lib/python3.13"
DYNLOAD = f"{LIBRARY}/lib-dynload"
EXECUTABLE = "bin/python3.13"
MAGIC = "f30d0d0a"
PLAIN, UNFROZEN = MODES[0], MODES[-1]

LAYOUT = Layout(
    name="standard",
    executable=EXECUTABLE,
    interpreter=EXECUTABLE,
    executable_links=("bin/python3",),
    archive=ARCHIVE,
    library_archive=ARCHIVE,
    library=LIBRARY,
    dynload=DYNLOAD,
    site=f"{LIBRARY}/site-packages",
    site_folders=(f"{LIBRARY}/site-packages", "local/lib/python3.13/site-packages"),
    shared_libraries="lib",
    landmarks=(Landmark(DYNLOAD, is_folder=True, reason="it is exec_prefix's"),),
    search_path=(ARCHIVE, LIBRARY, DYNLOAD),
)
TARGET = Target(
    name="CPython 3.13.0",
    version=(3, 13, 0),
    build="3.13.0 (main)",
    platform="linux",
    machine="x86_64",
    abiflags="",
    free_threaded=False,
    cache_tag="cpython-313",
    magic=MAGIC,
    extension_suffixes=(".cpython-313-x86_64-linux-gnu.so", ".so"),
    zlib="extension",
)
MEMBERS = (
    "encodings/__init__.py",
    "encodings/__init__.pyc",
    "encodings/aliases.py",
    "encodings/aliases.pyc",
    "encodings/utf_8.py",
    "encodings/utf_8.pyc",
    "abc.py",
    "abc.pyc",
    "sitecustomize.py",
    "sitecustomize.pyc",
)
ZLIB = f"{DYNLOAD}/zlib.cpython-313-x86_64-linux-gnu.so"
FILES = {
    "bin": SeenFile("folder", 0o755),
    EXECUTABLE: SeenFile("file", 0o755, 10, sha256="e1"),
    "bin/python3": SeenFile("link", 0o777, link="python3.13", leads_to="file"),
    "lib": SeenFile("folder", 0o755),
    ARCHIVE: SeenFile("file", 0o644, 100),
    LIBRARY: SeenFile("folder", 0o755),
    DYNLOAD: SeenFile("folder", 0o755),
    ZLIB: SeenFile("file", 0o755, 20, sha256="e2"),
    f"{LIBRARY}/LICENSE.txt": SeenFile("file", 0o644, 30, sha256="e3"),
    MANIFEST_NAME: SeenFile("file", 0o644, 40),
}


def _record(path: str, kind: str) -> FileRecord:
    seen = FILES[path]
    return FileRecord(path, kind, "needed", "core", seen.mode, seen.size, seen.sha256, seen.link)


MANIFEST = Manifest(
    **{
        **{field.name: "" for field in dataclasses.fields(Manifest)},
        "made_by": "zipstrap 0",
        "target": TARGET,
        "layout": LAYOUT,
        "optimize": 0,
        "source": "archive",
        "extensions": "disk",
        "archive_size": 100,
        "archive_sha256": "a1",
        "members": tuple(MemberRecord(name, 1, 1, 0, 0, "", 0) for name in MEMBERS),
        "files": (
            _record(EXECUTABLE, "executable"),
            _record("bin/python3", "link"),
            _record(DYNLOAD, "folder"),
            _record(ZLIB, "extension"),
            _record(f"{LIBRARY}/LICENSE.txt", "data"),
        ),
        "left_out": {"of the tests": ("test/__init__.py",)},
        "needs": (),
        "notes": (),
    }  # type: ignore[arg-type]
)


def _bytecode(name: str, **changes: Any) -> SeenBytecode:
    entry = SeenBytecode(f"{ARCHIVE}/{name}c", f"{ARCHIVE}/{name}", True, MAGIC, 1, "h", "h")
    return dataclasses.replace(entry, **changes)


BYTECODE = tuple(_bytecode(name) for name in MEMBERS if name.endswith(".py"))

FACTS = ProbeFacts(
    version=(3, 13, 0),
    executable=str(ROOT / EXECUTABLE),
    sys_path=("", *(str(ROOT / place) for place in LAYOUT.search_path)),
    prefix=str(ROOT),
    exec_prefix=str(ROOT),
    base_prefix=str(ROOT),
    base_exec_prefix=str(ROOT),
    stdlib_dir=None,
    flags={},
    meta_path=(
        "_frozen_importlib.BuiltinImporter",
        "_frozen_importlib.FrozenImporter",
        "_frozen_importlib_external.PathFinder",
    ),
    path_hooks=(
        "zipimport.zipimporter",
        "_frozen_importlib_external.FileFinder.path_hook.<locals>.path_hook_for_FileFinder",
    ),
    libraries=("/lib/libc.so.6", str(ROOT / "lib/libpython3.13.so.1.0")),
    frozen_names={},
    zlib=Zlib(None, None, ()),
)


def _module(name: str, origin: Origin | None, path: str | None, **changes: Any) -> BootModule:
    return dataclasses.replace(BootModule(name, origin, origin, True, "", path), **changes)


MODULES = (
    _module("sys", Origin.BUILTIN, None, log=None),
    _module("zipimport", Origin.FROZEN, None),
    _module("encodings", Origin.ARCHIVE, str(ROOT / ARCHIVE / "encodings/__init__.pyc")),
)
OPENED = (str(ROOT / "lib/libpython3.13.so.1.0"), "/usr/lib/libc.so.6", str(ROOT / ARCHIVE), "/etc/localtime")
BOOTS = tuple(Boot(mode, "ran", returncode=0, opened=OPENED, facts=FACTS) for mode in (PLAIN, UNFROZEN))

SOUND = Evidence(
    root=ROOT,
    target=TARGET,
    layout=LAYOUT,
    manifest=MANIFEST,
    files=FILES,
    archive=SeenArchive(frozenset(MEMBERS), ("abc.pyc",), 100, "a1"),
    archive_problem=None,
    bytecode=BYTECODE,
    uncompiled=(),
    hooks=(),
    nearer_archives=(),
    interpreters_below=(),
    start_files=(),
    linkage=Linkage(ROOT / EXECUTABLE, (), (), (), None),
    outside_run_paths=(),
    writable=(),
    ways_in=(),
    boots=BOOTS,
    modules={boot.mode.name: MODULES for boot in BOOTS},
    real_paths={},
    strict=True,
    missing={},
    changed=(),
    digests=("d1", "d1"),
)

Change = Callable[[Evidence], Evidence]


def results(evidence: Evidence) -> dict[str, CheckResult]:
    return {result.code: result for result in judge(evidence)}


def found(evidence: Evidence) -> dict[str, str]:
    """Return the status of each check that found something."""
    return {result.code: result.status for result in judge(evidence) if result.findings}


# ---- changes of the evidence -----------------------------------------------------------------------------


def having(**changes: Any) -> Change:
    return lambda evidence: dataclasses.replace(evidence, **changes)


def seeing(path: str, seen: SeenFile | None) -> Change:
    """Change what is seen of one file; None takes it away."""
    files = {name: known for name, known in FILES.items() if name != path}
    return having(files=files if seen is None else {**files, path: seen})


def saying(**changes: Any) -> Change:
    """Change what the probe says in every mode."""
    facts = dataclasses.replace(FACTS, **changes)
    return having(boots=tuple(dataclasses.replace(boot, facts=facts) for boot in BOOTS))


def loading(*modules: BootModule, mode: str = UNFROZEN.name) -> Change:
    return having(modules={**SOUND.modules, mode: (*MODULES, *modules)})


def opening(*paths: str) -> Change:
    return having(boots=tuple(dataclasses.replace(boot, opened=paths) for boot in BOOTS))


def of_version(major: int, minor: int) -> Change:
    return having(target=dataclasses.replace(TARGET, version=(major, minor, 0)))


def before_3_11(*paths: str) -> Change:
    """Make the tree one of 3.10, whose landmark is os.py, with what is at *paths* as files."""
    layout = dataclasses.replace(
        LAYOUT, landmarks=(*LAYOUT.landmarks, Landmark(f"{LIBRARY}/os.py", is_folder=False, reason=""))
    )
    files = {**FILES, **{path: SeenFile("file", 0o644) for path in paths}}
    return lambda evidence: dataclasses.replace(
        evidence, target=dataclasses.replace(TARGET, version=(3, 10, 0)), layout=layout, files=files
    )


def built(**changes: Any) -> Change:
    return having(manifest=dataclasses.replace(MANIFEST, **changes))


def with_bytecode(*entries: SeenBytecode) -> Change:
    return having(bytecode=(*BYTECODE, *entries))


def archive_with(*, without: str = "", **changes: Any) -> Change:
    names = frozenset(name for name in MEMBERS if not without or not name.startswith(without))
    return having(archive=dataclasses.replace(SeenArchive(names, ("abc.pyc",), 100, "a1"), **changes))


def quietly(quiet: tuple[Sighting, ...], probe: tuple[Sighting, ...] = ()) -> Change:
    """Let a start without -v load *quiet*, and one with it *probe*."""
    return having(boots=(dataclasses.replace(BOOTS[0], probe=probe, quiet=quiet), BOOTS[1]))


ON_DISK = f"{LIBRARY}/pydoc_data/topics.py"
SAVED = f"{LIBRARY}/pydoc_data/__pycache__/topics.cpython-313.opt-1.pyc"


def with_saved(path: str, **changes: Any) -> Change:
    """Let there be a source on disk, and bytecode at *path* that is not the build's."""
    files = {
        **FILES,
        f"{LIBRARY}/pydoc_data": SeenFile("folder", 0o755),
        ON_DISK: SeenFile("file", 0o644, 1, sha256="e4"),
        path.rpartition("/")[0]: SeenFile("folder", 0o755),
        path: SeenFile("file", 0o644),
    }
    record = FileRecord(ON_DISK, "source", "", "core", 0o644, 1, "e4")
    entry = dataclasses.replace(_bytecode("x.py", flags=0), place=path, source=ON_DISK, source_hash="other")
    return having(
        files=files,
        manifest=dataclasses.replace(MANIFEST, files=(*MANIFEST.files, record)),
        bytecode=(*BYTECODE, dataclasses.replace(entry, **changes)),
    )


def two_files(*extensions: SeenExtension, files: Mapping[str, SeenFile] | None = None) -> Change:
    """Make the tree one that was built with --extensions archive, whose *extensions* were seen."""
    kept = {path: seen for path, seen in FILES.items() if path not in (ZLIB, f"{LIBRARY}/LICENSE.txt")}
    records = tuple(record for record in MANIFEST.files if record.path in kept)
    packed = f"{DYNLOAD}/{ZLIB.rpartition('/')[2]}".removeprefix(f"{LIBRARY}/")
    members = (*MANIFEST.members, MemberRecord(packed, 1, 1, 0, 0, "", 0))
    return having(
        manifest=dataclasses.replace(MANIFEST, extensions="archive", files=records, members=members),
        archive=SeenArchive(frozenset((*MEMBERS, packed)), ("abc.pyc",), 100, "a1"),
        files={**kept, **(files or {})},
        extensions=extensions,
    )


def imported(name: str, origin: Origin, path: str | None, error: str | None = None) -> SeenExtension:
    return SeenExtension(Sighting(name, origin, path), error)


ARCHIVED = imported("zlib", Origin.ARCHIVE, str(ROOT / ARCHIVE / "lib-dynload/zlib.so"))
PRIVATE = Linkage(ROOT / EXECUTABLE, (), (), (), "/nix/ld.so")
NO_ARCHIVE = having(archive=None)
NO_START = having(
    boots=(Boot(PLAIN, "failed", "exit status 3: it printed nothing", returncode=3),), modules={}
)
UNTRIED = having(boots=(), modules={})
NO_MANIFEST = having(manifest=None)
TIME_STAMP = _bytecode("abc.py", flags=0)
FROM_DISK = _module("abc", Origin.DIRECTORY, str(ROOT / LIBRARY / "abc.py"))

ISOLATED = dataclasses.replace(LAYOUT, name="isolated", search_path=(*LAYOUT.search_path, LAYOUT.site))
PATH_FILES = {path: path_file_text(ISOLATED, path).encode() for path in ISOLATED.path_files}
ISOLATED_BOOT = dataclasses.replace(
    BOOTS[0],
    facts=dataclasses.replace(
        FACTS,
        sys_path=tuple(str(ROOT / place) for place in ISOLATED.search_path),
        flags={"isolated": 1, "ignore_environment": 1, "no_site": 1},
    ),
)

#: what is wrong → the check that says so, alone
FAILURES: dict[str, list[Change]] = {
    "ZS101": [NO_ARCHIVE],
    "ZS102": [before_3_11()],
    "ZS103": [
        seeing(DYNLOAD, None),
        seeing(DYNLOAD, SeenFile("file", 0o644)),
        seeing(DYNLOAD, SeenFile("link", 0o777, link="nowhere")),
    ],
    "ZS104": [having(nearer_archives=(ROOT / "bin" / ARCHIVE,))],
    "ZS105": [having(interpreters_below=(ROOT / "opt",))],
    "ZS106": [having(start_files=("bin/python3.13._pth",)), having(start_files=("pyvenv.cfg",))],
    "ZS107": [
        having(layout=ISOLATED, boots=(ISOLATED_BOOT,), path_files={**PATH_FILES, **changed})
        for changed in ({"bin/python3._pth": None}, {"bin/python3.13._pth": b"../lib\n"})
    ],
    "ZS108": [
        two_files(ARCHIVED, files={ZLIB: SeenFile("file", 0o755)}),
        two_files(ARCHIVED, files={f"{LIBRARY}/json.py": SeenFile("link", 0o777, link="x")}),
    ],
    "ZS201": [having(archive=None, archive_problem="it has no end")],
    "ZS202": [
        with_bytecode(_bytecode("x.py", magic="6f0d0d0a")),
        with_bytecode(_bytecode("x.py", magic="", flags=0, stated_hash="", size=0)),
        with_bytecode(_bytecode("x.py", stated_hash="", size=9)),
    ],
    "ZS203": [with_bytecode(_bytecode("x.py", source_hash="other"))],
    "ZS204": [with_bytecode(_bytecode("x.py", has_source=False, source_hash=None))],
    "ZS205": [having(uncompiled=(f"{ARCHIVE}/x.py",))],
    "ZS206": [archive_with(without="encodings/utf_8"), archive_with(without="encodings/__init__")],
    "ZS207": [saying(zlib=Zlib(None, "ImportError: no", ()))],
    "ZS208": [with_bytecode(TIME_STAMP), with_bytecode(_bytecode("abc.py", flags=3))],
    "ZS209": [
        seeing(f"{LIBRARY}/LICENSE.txt", None),
        seeing(f"{LIBRARY}/LICENSE.txt", SeenFile("file", 0o644, 30, sha256="other")),
        seeing(f"{LIBRARY}/LICENSE.txt", SeenFile("file", 0o644, 31)),
        seeing(f"{LIBRARY}/LICENSE.txt", SeenFile("special", 0o644)),
        seeing(f"{LIBRARY}/LICENSE.txt", SeenFile("file", 0o744, 30, sha256="e3")),
        seeing(f"{LIBRARY}/LICENSE.txt", SeenFile("file", 0o4644, 30, sha256="e3")),
        seeing(EXECUTABLE, SeenFile("file", 0o655, 10, sha256="e1")),
        seeing(f"{LIBRARY}/LICENSE.txt", SeenFile("link", 0o777, link="x", leads_to="file")),
        seeing("bin/python3", SeenFile("link", 0o777, link="python4")),
        seeing("bin/python3", SeenFile("file", 0o755)),
        seeing(ARCHIVE, SeenFile("link", 0o777, link="x", leads_to="file")),
        seeing(f"{LIBRARY}/added", SeenFile("file", 0o644)),
        seeing("lib/added", SeenFile("folder", 0o755)),
        seeing("bin/json.py", SeenFile("file", 0o755)),
        seeing("bin/json", SeenFile("folder", 0o755)),
        archive_with(sha256="other"),
    ],
    "ZS210": [lambda evidence: with_saved(SAVED)(evidence)],
    "ZS211": [having(digests=("d1", "d2"))],
    "ZS212": [having(changed=(EXECUTABLE,)), having(changed=(f"{ARCHIVE}/abc.pyc",))],
    "ZS301": [
        saying(base_prefix="/usr", base_exec_prefix="/usr"),
        loading(_module("abc", Origin.FOREIGN, "/usr/lib/python3.13/abc.py")),
        loading(_module("abc", Origin.ARCHIVE, None, log=Origin.FOREIGN)),
        loading(_module("test", Origin.FOREIGN, "/usr/lib/python3.13/test/__init__.py")),
    ],
    "ZS302": [saying(base_exec_prefix="/usr")],
    "ZS303": [saying(sys_path=(*FACTS.sys_path[:-1], "/usr/lib/python3.13/lib-dynload"))],
    "ZS304": [saying(sys_path=("", "/srv/me", *FACTS.sys_path[1:]))],
    "ZS305": [loading(FROM_DISK, mode=PLAIN.name)],
    "ZS306": [
        NO_START,
        having(boots=(*BOOTS, Boot(MODES[1], "failed", "killed by SIGSEGV", returncode=-11))),
    ],
    "ZS307": [
        loading(_module("os", Origin.FROZEN, None, agree=False, reason="they differ"), mode="plain"),
        quietly((Sighting("json", Origin.FOREIGN, None),)),
        having(boots=(BOOTS[0], dataclasses.replace(BOOTS[1], quiet_failure="exit status 3"))),
    ],
    "ZS308": [
        loading(_module("pydoc_data", Origin.DIRECTORY, str(ROOT / LIBRARY / "pydoc_data/__init__.py"))),
        loading(_module("os", Origin.FROZEN, None)),
    ],
    "ZS309": [
        opening(*OPENED, "/usr/lib/python3.13/os.py"),
        opening(*OPENED, "/usr/lib/python3/lib-dynload/_ssl.so"),
        opening(*OPENED, "/usr/lib/python313.zip"),
        opening(*OPENED, "/usr/pyvenv.cfg"),
        opening(*OPENED, "/usr/lib/libpython3.13.so.1.0"),
        opening(str(ROOT / "lib/libpython3.13.so.1.0")),
    ],
    "ZS310": [
        saying(meta_path=("site.Finder", *FACTS.meta_path)),
        saying(path_hooks=(*FACTS.path_hooks, "site.hook")),
        saying(meta_path=("_frozen_importlib.BuiltinImporter (not CPython's own)",)),
    ],
    "ZS311": [
        two_files(imported("zlib", Origin.DIRECTORY, str(ROOT / ZLIB))),
        two_files(imported("zlib", Origin.FOREIGN, None)),
        two_files(imported("zlib", Origin.FOREIGN, None, "ImportError: it is for another machine")),
    ],
    "ZS401": [
        having(hooks=(ForeignHook(ROOT / LIBRARY / name / f"{kind}.py", kind, "is not ours"),))
        for name in ("", "site-packages")
        for kind in ("sitecustomize", "usercustomize")
    ],
    "ZS402": [
        having(hooks=(ForeignHook(ROOT / LAYOUT.site / "x.pth", "pth", "is not ours"),)),
        having(hooks=(ForeignHook(ROOT / LAYOUT.site / "x.start", "start", "is not ours"),)),
    ],
    "ZS403": [
        loading(_module("mine", Origin.FOREIGN, "/srv/me/mine.py")),
        loading(_module("sitecustomize", Origin.FOREIGN, "/srv/me/sitecustomize.py")),
    ],
    "ZS501": [saying(libraries=("/usr/lib/libpython3.13.so.1.0",))],
    "ZS502": [
        having(linkage=Linkage(ROOT / EXECUTABLE, (), (), (Missing("libnope.so", (ROOT / ZLIB,)),), None))
    ],
    "ZS503": [having(outside_run_paths=((ZLIB, "/nonexistent"),))],
    "ZS601": [
        having(writable=(Writable(f"{LIBRARY}/LICENSE.txt", "everybody"),)),
        having(writable=(Writable(str(ROOT), "the group staff"),)),
    ],
    "ZS602": [having(ways_in=(Writable("/opt", "everybody"),))],
}

#: what cannot be judged, or needs no judging → words of the reason
NOT_RUN: dict[str, list[tuple[Change, str]]] = {
    "ZS102": [(having(), "the archive itself is the landmark")],
    "ZS104": [
        (of_version(3, 10), "before 3.11"),
        (having(layout=ISOLATED, path_files=PATH_FILES), "says where the archive is"),
    ],
    "ZS107": [(having(), "asked of the layout isolated")],
    "ZS105": [(having(interpreters_below=None, missing={"interpreters_below": "too many"}), "too many")],
    "ZS108": [(having(), "not built with --extensions archive"), (NO_MANIFEST, "--extensions archive")],
    "ZS311": [
        (having(), "not built with --extensions archive"),
        (NO_MANIFEST, "--extensions archive"),
        (lambda evidence: two_files(ARCHIVED)(UNTRIED(evidence)), "no start was tried"),
        (
            lambda evidence: dataclasses.replace(
                two_files()(evidence), extensions=None, missing={"extensions": "it gave no answer"}
            ),
            "it gave no answer",
        ),
    ],
    "ZS201": [(NO_ARCHIVE, "there is no archive")],
    **{
        code: [
            (NO_ARCHIVE, "there is no archive"),
            (having(archive=None, archive_problem="it is cut off"), "cannot be read"),
        ]
        for code in ("ZS202", "ZS203", "ZS204", "ZS205", "ZS206", "ZS207", "ZS208")
    },
    "ZS209": [(NO_MANIFEST, "there is no manifest")],
    "ZS210": [(NO_MANIFEST, "there is no manifest")],
    "ZS211": [(having(digests=None, changed=None), "no digest was given")],
    "ZS212": [(having(digests=None, changed=None), "no digest was given")],
    **{
        code: [(NO_START, "exit status 3"), (UNTRIED, "no start was tried")]
        for code in (
            *(
                "ZS301",
                "ZS302",
                "ZS303",
                "ZS304",
                "ZS305",
                "ZS307",
                "ZS308",
                "ZS309",
                "ZS310",
                "ZS403",
                "ZS501",
            ),
        )
    },
    "ZS306": [(UNTRIED, "no start was tried")],
    "ZS502": [(having(linkage=None, missing={"linkage": "Linux only"}), "Linux only")],
    "ZS503": [
        (having(linkage=None, missing={"linkage": "Linux only"}), "Linux only"),
        (having(linkage=PRIVATE), "dynamic loader outside the tree"),
    ],
}
NOT_RUN["ZS203"] += [
    (having(missing={"source_hashes": "it gave no answer"}), "it gave no answer"),
    (having(bytecode=(_bytecode("abc.py", has_source=False, source_hash=None),)), "no sources to compare"),
]
NOT_RUN["ZS204"] += [
    (
        lambda evidence: dataclasses.replace(
            built(source="none")(evidence),
            bytecode=(_bytecode("abc.py", has_source=False, source_hash=None),),
        ),
        "built without sources",
    )
]
NOT_RUN["ZS207"] += [(archive_with(deflated=()), "nothing in the archive is deflated"), (NO_START, "did not")]
NOT_RUN["ZS303"] += [(saying(sys_path=FACTS.sys_path[:-1]), "no start has a lib-dynload")]
NOT_RUN["ZS305"] += [(NO_MANIFEST, "there is no manifest")]
NOT_RUN["ZS308"] += [
    (having(strict=False), "--strict"),
    (having(boots=BOOTS[:1]), "did not start with frozen modules off"),
]
NOT_RUN["ZS309"] += [
    (
        having(boots=tuple(dataclasses.replace(boot, opened=None) for boot in BOOTS)),
        "asked for with --kernel",
    ),
    (
        having(
            boots=(BOOTS[0], dataclasses.replace(BOOTS[1], opened=None, opened_reason="not run: no strace"))
        ),
        "no strace",
    ),
]
NOT_RUN["ZS403"] += [(NO_MANIFEST, "there is no manifest")]
NOT_RUN["ZS501"] += [
    (having(linkage=PRIVATE), "dynamic loader outside the tree"),
    (saying(libraries=("/lib/libc.so.6",)), "linked into the executable"),
    (saying(libraries=None), "does not tell"),
]

#: these can always be judged
ALWAYS = {"ZS101", "ZS103", "ZS106", "ZS401", "ZS402", "ZS601", "ZS602"}


def test_an_isolated_start_is_known_by_its_path_and_its_flags() -> None:
    sound = having(layout=ISOLATED, boots=(ISOLATED_BOOT,), path_files=PATH_FILES)(SOUND)
    assert results(sound)["ZS107"].status == "passed"
    for changes, words in (
        ({"sys_path": FACTS.sys_path}, "mode plain: sys.path is"),
        ({"flags": {"isolated": 1, "ignore_environment": 1, "no_site": 0}}, "was not isolated"),
    ):
        boot = dataclasses.replace(ISOLATED_BOOT, facts=dataclasses.replace(ISOLATED_BOOT.facts, **changes))
        result = results(dataclasses.replace(sound, boots=(boot,)))["ZS107"]
        assert [words in finding.text for finding in result.findings] == [True]


# ---- each check ------------------------------------------------------------------------------------------


def test_sound_evidence_passes_every_check() -> None:
    statuses = {code: result.status for code, result in results(SOUND).items()}
    other = {"ZS102", "ZS107", "ZS108", "ZS311"}
    assert statuses == {code: "not run" if code in other else "passed" for code in checks()}
    statuses = {code: result.status for code, result in results(two_files(ARCHIVED)(SOUND)).items()}
    other = {"ZS102", "ZS107"}
    assert statuses == {code: "not run" if code in other else "passed" for code in checks()}
    sound = results(before_3_11(f"{LIBRARY}/os.py")(SOUND))
    assert sound["ZS102"].status == "passed"


def test_the_tables_cover_every_check() -> None:
    assert set(FAILURES) == set(checks())
    assert set(NOT_RUN) | ALWAYS == set(checks())
    assert not set(NOT_RUN) & ALWAYS


@pytest.mark.parametrize(
    ("code", "change"),
    [(code, change) for code, changes in FAILURES.items() for change in changes],
    ids=[f"{code}-{number}" for code, changes in FAILURES.items() for number in range(len(changes))],
)
def test_a_fault_is_told_by_its_check(code: str, change: Change) -> None:
    judged = results(change(SOUND))
    assert judged[code].status == ("failed" if checks()[code].severity == "error" else "warned")
    assert judged[code].findings
    roots = {each for each, result in judged.items() if result.status in ("failed", "warned")}
    assert roots == {code}, found(change(SOUND))


@pytest.mark.parametrize(
    ("code", "change", "words"),
    [(code, change, words) for code, changes in NOT_RUN.items() for change, words in changes],
    ids=[f"{code}-{number}" for code, changes in NOT_RUN.items() for number in range(len(changes))],
)
def test_what_cannot_be_judged_is_not_run_with_the_reason(code: str, change: Change, words: str) -> None:
    result = results(change(SOUND))[code]
    assert (result.status, result.findings) == ("not run", ())
    assert words in result.reason


@pytest.mark.parametrize("code", checks())
def test_a_check_that_is_not_run_has_a_reason_whatever_is_missing(code: str) -> None:
    nothing = dataclasses.replace(
        SOUND, manifest=None, files={}, archive=None, bytecode=(), linkage=None, boots=(), modules={}
    )
    result = results(nothing)[code]
    assert (result.reason != "") is (result.status in ("not run", "consequence"))
    assert (result.findings != ()) is (result.status in ("failed", "warned", "consequence"))


# ---- what is no fault ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        # the ones that the import system itself starts from stay frozen
        loading(_module("_frozen_importlib", Origin.FROZEN, None)),
        # through the link /opt/link the same tree
        lambda evidence: dataclasses.replace(
            saying(
                base_prefix="/opt/link",
                base_exec_prefix="/opt/link",
                sys_path=tuple(f"/opt/link/{place}" for place in LAYOUT.search_path),
            )(evidence),
            real_paths={
                "/opt/link": str(ROOT),
                **{f"/opt/link/{place}": str(ROOT / place) for place in LAYOUT.search_path},
            },
        ),
        # a user's own package, and the system's libraries
        opening(*OPENED, "/srv/me/.local/lib/python3.13/site-packages/mine.py"),
        opening(*OPENED, "/usr/lib/x86_64-linux-gnu/libssl.so.3"),
        # with a private loader its libraries stay where they are
        lambda evidence: dataclasses.replace(
            opening(*OPENED, "/nix/lib/libz.so.1")(evidence), linkage=PRIVATE
        ),
    ],
)
def test_what_is_no_fault(change: Change) -> None:
    assert found(change(SOUND)) == {}


def test_the_next_sitecustomize_is_no_shadow_where_the_build_put_it() -> None:
    path = f"{LIBRARY}/sitecustomize.py"
    record = FileRecord(path, "source", "", "core", 0o644, 1, "e4")
    chained = loading(_module("sitecustomize", Origin.DIRECTORY, str(ROOT / path)), mode=PLAIN.name)
    evidence = chained(seeing(path, SeenFile("file", 0o644, 1, sha256="e4"))(SOUND))
    assert found(built(files=(*MANIFEST.files, record))(evidence)) == {}
    assert found(evidence) == {"ZS305": "failed", "ZS209": "consequence"}


@pytest.mark.parametrize("mode", [0o644, 0o444, 0o600, 0o400])
def test_fewer_permissions_are_no_change(mode: int) -> None:
    seen = SeenFile("file", mode, 30, sha256="e3")
    assert found(seeing(f"{LIBRARY}/LICENSE.txt", seen)(SOUND)) == {}


@pytest.mark.parametrize(
    ("path", "mode", "told"),
    [
        ("bin/pip", 0o755, {}),
        ("bin/notes.txt", 0o644, {"ZS209": "failed"}),
        ("bin/deeper/pip", 0o755, {"ZS209": "failed"}),
        ("bin/json.pyc", 0o755, {"ZS209": "failed"}),
        ("bin/json.cpython-313-x86_64-linux-gnu.so", 0o755, {"ZS209": "failed"}),
        ("lib/anything", 0o755, {"ZS209": "failed"}),
        ("share/man/man1/pip.1", 0o644, {}),
        ("etc/tool.conf", 0o644, {}),
        ("include/tool.h", 0o644, {}),
        (f"{LIBRARY}/pip", 0o755, {"ZS209": "failed"}),
    ],
)
def test_a_script_beside_the_interpreter_is_no_change(path: str, mode: int, told: dict[str, str]) -> None:
    assert found(seeing(path, SeenFile("file", mode))(SOUND)) == told


@pytest.mark.parametrize(
    ("name", "leads_to", "told"),
    [
        ("bin/pip", "file", {}),
        ("bin/pip", "folder", {"ZS209": "failed"}),
        ("bin/pip", None, {"ZS209": "failed"}),
        ("bin/json.py", "file", {"ZS209": "failed"}),
        (f"{LIBRARY}/pip", "file", {"ZS209": "failed"}),
    ],
)
def test_a_link_beside_the_interpreter(name: str, leads_to: str | None, told: dict[str, str]) -> None:
    assert found(seeing(name, SeenFile("link", 0o777, link="x", leads_to=leads_to))(SOUND)) == told


def test_the_way_to_a_site_folder_is_no_change() -> None:
    added = ("local", "local/lib", "local/lib/python3.13", LAYOUT.site_folders[1], LAYOUT.site)
    folders = dict.fromkeys(added, SeenFile("folder", 0o755))
    assert found(having(files={**FILES, **folders})(SOUND)) == {}
    assert found(having(layout=dataclasses.replace(LAYOUT, site_folders=("lib/python3/x",)),
                        files={**FILES, "lib/python3": SeenFile("folder", 0o755)})(SOUND)) == {}  # fmt: skip


def test_an_empty_site_folder_may_get_lost() -> None:
    site = FileRecord(LAYOUT.site, "folder", "", "core", 0o755)
    assert found(built(files=(*MANIFEST.files, site))(SOUND)) == {}
    hook = FileRecord(f"{LAYOUT.site}/zipstrap.pth", "hook", "", "core", 0o644, 1, "e5")
    assert found(built(files=(*MANIFEST.files, site, hook))(SOUND)) == {"ZS209": "failed"}


@pytest.mark.parametrize(
    ("path", "changes", "told"),
    [
        (SAVED, {}, {"ZS210": "warned"}),
        (SAVED, {"flags": 3, "source_hash": "h"}, {"ZS210": "warned"}),
        (SAVED.replace(".opt-1", ""), {}, {"ZS210": "warned"}),
        # no start saves what nobody checks
        (SAVED, {"flags": 1, "source_hash": "h"}, {"ZS209": "failed"}),
        # beside no source of the build
        (SAVED.replace("topics", "other"), {}, {"ZS208": "failed", "ZS209": "consequence"}),
        (ON_DISK + "c", {}, {"ZS208": "failed", "ZS209": "consequence"}),
    ],
)
def test_bytecode_that_a_start_has_saved(path: str, changes: dict[str, Any], told: dict[str, str]) -> None:
    assert found(with_saved(path, **changes)(SOUND)) == told


def test_a_link_in_the_place_of_saved_bytecode_is_a_change() -> None:
    """The interpreter would follow it."""
    evidence = with_saved(SAVED)(SOUND)
    cache = SAVED.rpartition("/")[0]
    files = {path: seen for path, seen in evidence.files.items() if not path.startswith(cache)}
    files[cache] = SeenFile("link", 0o777, link="/x", leads_to="folder")
    changed = dataclasses.replace(evidence, files=files, bytecode=BYTECODE)
    assert found(changed) == {"ZS209": "failed"}


def test_what_a_start_without_v_loads_is_compared() -> None:
    one, other = Sighting("os", Origin.FROZEN, None), Sighting("os", Origin.FOREIGN, "/x/os.py")
    assert found(quietly((one,), (one,))(SOUND)) == {}
    told = {
        "os (plain): loaded only without -v: frozen": quietly((one,)),
        "os (plain): not loaded without -v; with it frozen": quietly((), (one,)),
        "os (plain): differs without -v: foreign (/x/os.py), with it frozen": quietly((other,), (one,)),
    }
    for text, change in told.items():
        assert [finding.text for finding in results(change(SOUND))["ZS307"].findings] == [text]


@pytest.mark.parametrize("module", ["_frozen_importlib", "importlib._bootstrap"])
def test_importlib_renames_its_own_importers(module: str) -> None:
    names = tuple(name.replace("_frozen_importlib", module) for name in FACTS.meta_path)
    hooks = tuple(name.replace("_frozen_importlib", module) for name in FACTS.path_hooks)
    assert found(saying(meta_path=names, path_hooks=hooks)(SOUND)) == {}


@pytest.mark.parametrize(
    ("code", "change", "unseen"),
    [
        ("ZS105", having(interpreters_below=None, missing={"interpreters_below": "too many"}), True),
        ("ZS105", lambda evidence: having(interpreters_below=None, missing={"interpreters_below": "old"})(
            of_version(3, 10)(evidence)), False),
        ("ZS203", having(missing={"source_hashes": "it gave no answer"}), True),
        ("ZS203", NO_ARCHIVE, False),
        ("ZS309", having(boots=tuple(dataclasses.replace(boot, opened=None) for boot in BOOTS)), False),
        ("ZS309", having(boots=tuple(
            dataclasses.replace(boot, opened=None, opened_reason="not run: none") for boot in BOOTS)), True),
        ("ZS502", having(linkage=None, missing={"linkage": "cannot be read"}), True),
        ("ZS503", having(linkage=None, missing={"linkage": "cannot be read"}), True),
        ("ZS503", having(linkage=PRIVATE), False),
    ],
)  # fmt: skip
def test_what_could_not_be_looked_at_is_told_apart(code: str, change: Change, unseen: bool) -> None:
    result = results(change(SOUND))[code]
    assert (result.status, result.unseen) == ("not run", unseen)


def test_bytecode_that_was_added_is_no_orphan() -> None:
    place = f"{LIBRARY}/x.pyc"
    added = SeenBytecode(place, f"{LIBRARY}/x.py", False, MAGIC, 1, "h", None)
    evidence = with_bytecode(added)(seeing(place, SeenFile("file", 0o644))(SOUND))
    assert found(evidence) == {"ZS209": "failed"}


def test_a_name_on_the_search_path_that_leads_elsewhere_by_a_link() -> None:
    entry = str(ROOT / DYNLOAD)
    evidence = having(real_paths={entry: "/usr/lib/python3.13/lib-dynload"})(SOUND)
    assert found(evidence) == {"ZS303": "failed"}


# ---- what follows from what ------------------------------------------------------------------------------


def test_a_change_that_another_check_tells_of_is_its_consequence() -> None:
    place = f"{LIBRARY}/x.py"
    evidence = having(
        files={**FILES, f"{LIBRARY}/usercustomize.py": SeenFile("file", 0o644)},
        hooks=(ForeignHook(ROOT / LIBRARY / "usercustomize.py", "usercustomize", "is not ours"),),
    )(SOUND)
    judged = results(evidence)
    assert (judged["ZS209"].status, judged["ZS209"].because) == ("consequence", ("ZS401",))
    # another change is still told, and it alone
    more = dataclasses.replace(evidence, files={**evidence.files, place: SeenFile("file", 0o644)})
    assert [finding.text for finding in results(more)["ZS209"].findings] == [f"{place} was added"]
    assert results(more)["ZS209"].status == "failed"


def test_a_permission_explains_a_mode_but_no_change_of_content() -> None:
    path = f"{LIBRARY}/LICENSE.txt"
    writable = having(writable=(Writable(path, "everybody"),))
    mode = writable(seeing(path, SeenFile("file", 0o646, 30, sha256="e3"))(SOUND))
    assert found(mode) == {"ZS601": "failed", "ZS209": "consequence"}
    content = writable(seeing(path, SeenFile("file", 0o646, 30, sha256="other"))(SOUND))
    assert found(content) == {"ZS601": "failed", "ZS209": "failed"}


def test_a_consequence_names_the_first_cause() -> None:
    evidence = having(
        archive=None,
        archive_problem="it is cut off",
        outside_run_paths=((EXECUTABLE, "/usr/lib"),),
    )(saying(libraries=("/usr/lib/libpython3.13.so.1.0",))(SOUND))
    judged = results(evidence)
    # ZS201 masks ZS501, and that ZS503
    assert (judged["ZS503"].status, judged["ZS503"].because) == ("consequence", ("ZS201",))


def test_no_two_checks_explain_each_other() -> None:
    """Otherwise both would be consequences, and nothing would be told."""

    def below(code: str, above: tuple[str, ...] = ()) -> None:
        assert code not in above, (*above, code)
        for other in checks()[code].masks:
            below(other, (*above, code))

    for code in checks():
        below(code)


def test_a_warning_hides_no_error() -> None:
    for data in checks().values():
        assert data.severity == "error" or not data.masks
        assert data.masks <= set(checks())


@pytest.mark.parametrize("path", [None, "/usr/lib/python3.12/typing.py"])
def test_what_typing_makes_itself_comes_from_nowhere(path: str | None) -> None:
    made = _module("typing.io", Origin.FOREIGN, path, log=None, agree=False, reason="not in the log")
    evidence = loading(made)(SOUND)
    names = (*MEMBERS, "typing.py", "typing.pyc")
    members = tuple(MemberRecord(name, 1, 1, 0, 0, "", 0) for name in names)
    evidence = dataclasses.replace(evidence, manifest=dataclasses.replace(MANIFEST, members=members))
    assert found(evidence) == ({} if path is None else {"ZS301": "failed", "ZS307": "consequence"})


# ---- who else can change a file --------------------------------------------------------------------------


class Status:
    """What who_else reads of a stat result."""

    def __init__(self, mode: int, uid: int = 0, gid: int = 0) -> None:
        self.st_mode, self.st_uid, self.st_gid = mode, uid, gid


NOBODY_HAS = 4_000_000


@pytest.mark.parametrize(
    ("status", "sticky", "who"),
    [
        (Status(0o755), False, None),
        (Status(0o757), False, "everybody"),
        (Status(0o1777), True, None),
        (Status(0o775), False, None),  # root's own group
        (Status(0o775, gid=NOBODY_HAS), False, f"the group {NOBODY_HAS}"),
        (Status(0o775, gid=NOBODY_HAS), True, None),
        (Status(0o755, uid=NOBODY_HAS), False, f"its owner, {NOBODY_HAS}"),
        (Status(0o755, uid=NOBODY_HAS), True, f"its owner, {NOBODY_HAS}"),
    ],
)
def test_who_else(status: Any, sticky: bool, who: str | None) -> None:
    assert who_else(status, frozenset({0, 1000}), sticky=sticky) == who
