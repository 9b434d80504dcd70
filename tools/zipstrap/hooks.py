"""The start-up hooks of a tree: which files they are, and which others a tree has picked up.

The sources are the resources of ``zipstrap.site_hooks``; ``docs/reference/hooks.md`` says what they do.
"""

from __future__ import annotations

import pkgutil
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from .errors import FileError, UnsupportedError, UsageError
from .start_files import is_extension_line, is_ours, marked, migrated, read_pth

__all__ = [
    "DIGEST_STATUS",
    "GUARD_ACTIONS",
    "SITES",
    "START_SINCE",
    "STOP_STATUS",
    "ZIPS_BY",
    "ForeignHook",
    "HookFile",
    "HookKind",
    "bake_guard",
    "built_files",
    "config_script",
    "front_files",
    "hook_files",
    "hook_kind",
    "is_written",
    "judge_hooks",
    "list_hooks",
    "zips_files",
]

#: What the guard does when the boot is not the tree's own. The last stops too, and checks digests before.
GUARD_ACTIONS = ("off", "report", "stop", "digest")

#: The exit status of a start that the guard stopped. 120 is CPython's own (output could not be flushed), 124
#: to 127 are those of ``timeout``, ``env`` and shells.
STOP_STATUS = 121

#: The exit status of a start whose files are not what was built, by their digests.
DIGEST_STATUS = 122

#: What adds the archives of the ``zips`` folder: our ``sitecustomize``, a ``.pth`` or ``.start`` file in the
#: site folder, or nothing. A file works also where another ``sitecustomize`` replaces ours, but it costs:
#: for any ``.pth``, ``site`` loads a codec, up to 0.4 ms a start; to resolve the entry point of a ``.start``
#: it imports ``pkgutil`` and, through it, ``re``: 8 ms a start (measured, 3.15.2).
ZIPS_BY = ("sitecustomize", "pth", "start", "off")

#: Whether isolated starts have what ``site`` gives them.
SITES = ("off", "on")

#: The first version that reads ``.start`` files (PEP 829). Up to 3.17 ``site`` runs ``.pth`` lines as well.
START_SINCE = (3, 15)

_BOOT = (
    ("boot_shim.py", "stands in for encodings, the first module of a start, and installs the importer"),
    ("zipstrap_importer.py", "imports the library's modules from its archive"),
    ("zipstrap_importer_rest.py", "what few starts need of the importer"),
    ("zipstrap_importer_away.py", "takes the importer's place when a converted installation is restored"),
)
#: read from the archive when they are needed
_LATER = (
    ("zipstrap_importer_rare.py", "what hardly any program needs of the importer"),
    ("zipstrap_exit.py", "leaves out of an exit what nobody would notice"),
)
_DIGESTS = ("boot_digests.py", "checks the archive's SHA-256 before anything of it runs")
_ISOLATED = ("zipstrap_isolated.py", "keeps a start to the tree's own places")
_GENERATION = ("boot_generation.py", "keeps a start with the generation of its executable")

#: name in the front of a prefix → resource and reason; see ``docs/explanation/generations.md``
_FRONT = {
    "encodings/__init__.py": (
        "front_encodings.py",
        "hands a start from the prefix, as in a virtual environment, over to its generation",
    ),
    "os.py": ("front_os.py", "the prefix is found by it; it is not imported"),
}

_BAKED = rb"^%s = \S+(?=  # baked at build\b)"

#: a sitecustomize for interpreters that are no trees
_CUSTOMIZE = b'''\
"""Add the archives of the zips folder beside this file (zipstrap hooks install)."""

try:
    import os

    import zipstrap_zips

    zipstrap_zips.add(os.path.dirname(os.path.abspath(__file__)))
except Exception:
    pass  # no start fails because of this
'''

HookKind = Literal["pth", "start", "sitecustomize", "usercustomize"]


@dataclass(frozen=True, slots=True)
class HookFile:
    """A file of the hooks. In the ``archive`` it is a source, to be compiled like any module of the library;
    in the ``site`` folder and the ``front`` of a prefix it is copied as it is.
    """

    place: Literal["archive", "site", "boot", "front"]
    name: str
    data: bytes
    reason: str


@dataclass(frozen=True, slots=True)
class ForeignHook:
    """A start-up file in a site folder which is not one of ours, or no longer."""

    path: Path
    kind: HookKind
    reason: str


def bake_guard(source: bytes, action: str, *, zips: bool = True, absent: bool = False) -> bytes:
    """Return the *source* of our ``sitecustomize`` with these in its marked lines. Pure.

    Raises :class:`UsageError` for an action not in :data:`GUARD_ACTIONS`, and :class:`FileError` if the
    source does not have each line exactly once.
    """
    _choose("guard action", action, GUARD_ACTIONS)
    source = _bake(source, b"ACTION", b'"%s"' % action.encode("ascii"))
    source = _bake(source, b"ZIPS", str(zips).encode("ascii"))
    return _bake(source, b"ABSENT", str(absent).encode("ascii"))


def hook_files(
    version: tuple[int, int],
    *,
    guard: str,
    zips: str = "sitecustomize",
    importer: bool = False,
    compiler: bool = False,
    generation: bool = False,
    site: str = "",
    absent: Mapping[str, Sequence[str]] | None = None,
    extensions: bool = False,
) -> tuple[HookFile, ...]:
    """Return the hooks for a target of *version* (major, minor), by *guard* action and what adds the *zips*.

    With *importer* the library has an importer of its own, which does what our ``sitecustomize`` would, and
    in a *generation* sees that a start stays with it. *site*, off or on, is for isolated starts. With
    *compiler* the archive holds what compiles it where it is installed, with *extensions* what loads the
    extension modules that are in it. *absent* are the modules that the tree leaves out, by what is to be said
    of them.
    There is no file that would do nothing. Raises :class:`UsageError` for a *guard* not in
    :data:`GUARD_ACTIONS` or a *zips* not in :data:`ZIPS_BY`, and :class:`UnsupportedError` for a ``.start``
    file where nothing reads it.
    """
    _choose("way to add zips", zips, ZIPS_BY)
    if zips == "start" and version < START_SINCE:
        raise UnsupportedError(
            f"Python {version[0]}.{version[1]} reads no .start files: they are there from "
            f"{START_SINCE[0]}.{START_SINCE[1]} on",
            cure="use --zips pth",
        )
    ours = bake_guard(_resource("sitecustomize.py"), guard, zips=zips == "sitecustomize", absent=bool(absent))
    boot = (
        *_BOOT,
        *((_GENERATION,) if generation else ()),
        *((_DIGESTS,) if guard == "digest" else ()),
    )
    files = [HookFile("boot", name, _resource(name), reason) for name, reason in boot] if importer else []
    if site:
        _choose("way to have site", site, SITES)
        name, reason = _ISOLATED
        files.append(
            HookFile("boot", name, _bake(_resource(name), b"SITE", b'"%s"' % site.encode("ascii")), reason)
        )
    if not importer and (guard != "off" or zips == "sitecustomize"):
        files.append(HookFile("archive", "sitecustomize.py", ours, "checks the boot, adds the zips, chains"))
    if compiler:
        files += (
            HookFile("archive", name, data, "compiles the archive in place") for name, data in _compiler()
        )
    if importer:
        files += (HookFile("archive", name, _resource(name), reason) for name, reason in _LATER)
    if extensions:
        name = "zipstrap_extensions.py"
        files.append(HookFile("archive", name, _resource(name), "loads extension modules from the archive"))
    if guard != "off":
        name = "zipstrap_guard.py"
        files.append(HookFile("archive", name, _resource(name), "says what of a boot is not the tree's own"))
    if absent and (importer or guard != "off" or zips == "sitecustomize"):
        name = "zipstrap_absent.py"
        table = tuple(part for text, names in absent.items() for part in (text, " ".join(names)))
        data = _bake(_resource(name), b"LEFT_OUT", ascii(table).encode("ascii"))
        files.append(HookFile("archive", name, data, "says of a failed import what the tree leaves out"))
    if zips != "off":
        name = "zipstrap_zips.py"
        files.append(HookFile("archive", name, _resource(name), "puts a zips folder's archives on sys.path"))
    if zips in ("pth", "start"):
        name = f"zipstrap.{zips}"
        files.append(
            HookFile("site", name, _resource(name), "runs zipstrap_zips where there is a zips folder")
        )
    return tuple(files)


def _compiler() -> Iterator[tuple[str, bytes]]:
    yield "zipstrap_compile.py", _resource("zipstrap_compile.py")
    # what compiles at a build: the same source becomes the same bytes
    yield "zipstrap_bytecode.py", _resource("compile_worker.py", "zipstrap._in_target")


def built_files() -> dict[str, bytes]:
    """Return what a build may put into a site folder, by name."""
    return {name: _resource(name) for name in ("zipstrap.pth", "zipstrap.start")}


def zips_files(kind: str) -> dict[str, bytes]:
    """Return the files, by name, that add the archives of a zips folder where there is no tree.

    *kind* is pth, start or sitecustomize. What is read at a start comes last.
    """
    files = {"zipstrap_zips.py": _resource("zipstrap_zips.py")}
    if kind == "sitecustomize":
        files["sitecustomize.py"] = _CUSTOMIZE
    else:
        files[f"zipstrap.{kind}"] = _resource(f"zipstrap.{kind}")
    return {name: marked(body) for name, body in files.items()}


def is_written(name: str, data: bytes) -> bool:
    """Tell whether ``zipstrap hooks`` of this version writes the file *name* with just this content.

    What ``zipstrap activate`` writes has paths of the user's; it counts if it runs nothing else than a
    bundle's loader of extension modules.
    """
    if name.endswith(".pth") and is_ours(data, b"activate"):
        return all(map(is_extension_line, read_pth(data, "/", (3, 13), "utf-8").runs))
    if name.endswith(".start") and migrated(f"{name.removesuffix('.start')}.pth")[name] == data:
        return True
    return any(zips_files(kind).get(name) == data for kind in ("pth", "start", "sitecustomize"))


def front_files() -> tuple[HookFile, ...]:
    """Return what stands in the library's folder of a prefix with generations; names are relative to it."""
    return tuple(
        HookFile("front", name, _resource(resource), reason) for name, (resource, reason) in _FRONT.items()
    )


def config_script() -> bytes:
    """Return the program ``pythonX.Y-config``, for beside the interpreter."""
    return _resource("python_config.py")


def list_hooks(site_folders: Sequence[Path]) -> dict[Path, bytes | None]:
    """Return the start-up files in *site_folders* with their content.

    It is None for what is no file (a package, a dangling link) and for what cannot be read. Raises
    :class:`FileError` if a folder is there and cannot be listed.
    """
    found: dict[Path, bytes | None] = {}
    for folder in site_folders:
        try:
            paths = sorted(folder.iterdir())
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            raise FileError(
                f"the site folder cannot be listed ({error.strerror})",
                file=folder,
                cure="make the folder readable",
            ) from error
        for path in paths:
            if hook_kind(path.name) is not None:
                try:
                    found[path] = path.read_bytes() if path.is_file() else None
                except OSError:
                    found[path] = None
    return found


def judge_hooks(found: Mapping[Path, bytes | None], ours: Mapping[str, bytes]) -> tuple[ForeignHook, ...]:
    """Return those of *found* that are not *ours* by name and content, with the reason. Pure."""
    foreign = []
    for path in sorted(found):
        kind = hook_kind(path.name)
        if kind is None or (path.name in ours and found[path] == ours[path.name]):
            continue
        reason = "is no longer as zipstrap installed it" if path.name in ours else "is not from zipstrap"
        foreign.append(ForeignHook(path, kind, reason))
    return tuple(foreign)


def hook_kind(name: str) -> HookKind | None:
    """Return what ``site`` would take a file or folder *name* in a site folder for; None for no hook.

    A module may be a source, bytecode, an extension module or a package, so any suffix will do. Files
    that begin with a dot count: ``site`` passes over them in recent versions only.
    """
    if name.endswith(".pth"):
        return "pth"
    if name.endswith(".start"):
        return "start"
    match name.partition(".")[0]:
        case "sitecustomize":
            return "sitecustomize"
        case "usercustomize":
            return "usercustomize"
    return None


def _choose(what: str, value: str, values: Sequence[str]) -> None:
    if value not in values:
        raise UsageError(f"there is no {what} {value!r}", cure=f"choose one of {', '.join(values)}")


def _bake(source: bytes, name: bytes, value: bytes) -> bytes:
    baked, count = re.subn(_BAKED % name, lambda _: name + b" = " + value, source, flags=re.MULTILINE)
    if count != 1:
        raise FileError(
            f"the hook has {count} lines that bake {name.decode()}, not one",
            file="site_hooks",
            cure="install zipstrap again",
        )
    return baked


def _resource(name: str, package: str = "zipstrap.site_hooks") -> bytes:
    data = pkgutil.get_data(package, name)
    assert data is not None, "a loader without get_data"
    return data
