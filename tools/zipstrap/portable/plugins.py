"""Load plugins from a folder of archives, at either floor: 3.8 syntax, the standard library alone.

The host has this as :mod:`zipstrap.plugins`; an application takes a copy of it along, as the package
``zipstrap_plugins``, which ``zipstrap plugins vendor`` writes.

A plugin is an archive ``*.zip`` with a ``plugin.json`` at its root, and modules beside that. It is read once,
into memory; what was read is checked by the strict reader, every member's content included, and what was
checked is what runs. The file is not opened again, so whoever replaces it does not disturb what is loaded.
Checking is no sandbox: what is loaded runs with all rights of the process.

Its modules live in a package of their own, ``NAMESPACE.PLUGIN``, so two plugins may each have a ``util``.
Within the plugin ``import util`` finds its own: the globals of its modules have builtins whose ``__import__``
looks there first. Nothing of it comes on ``sys.path``.
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
import os
import sys
import threading
import time
import traceback
import types
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .archive_reader import Limits, shown
from .plugin_checks import (
    MAX_ARCHIVE,
    USUAL_LIMITS,
    Checked,
    Content,
    Fault,
    Faulty,
    Folder,
    Metadata,
    check_folder,
    compared,
    fault_of,
    is_api,
    read_plugin,
    this_runtime,
)
from .plugin_imports import Instance

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["Called", "Plugins", "Report"]

#: a file may change without looking changed until its times are this old, in nanoseconds
_SETTLED = 2_000_000_000


@dataclass(frozen=True)
class Report:
    """What was done, by plugins' names, and all that went wrong.

    *missing* are loaded, but no archive in the folder is theirs any more; they run on.
    """

    loaded: tuple[str, ...] = ()
    reloaded: tuple[str, ...] = ()
    unloaded: tuple[str, ...] = ()
    unchanged: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    faults: tuple[Fault, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether nothing went wrong."""
        return not self.faults


@dataclass(frozen=True)
class Called:
    """What the entry point of *plugin* returned, or what went wrong."""

    plugin: str
    value: Any = None
    fault: Fault | None = None

    @property
    def ok(self) -> bool:
        """Whether it returned."""
        return self.fault is None


class _Loaded:
    """A plugin that is loaded."""

    def __init__(self, checked: Checked, metadata: Metadata, instance: Instance, function: Any) -> None:
        self.checked = checked
        self.metadata = metadata
        self.instance = instance
        self.function = function
        #: how the file looked when it was read, if that says that it was not written to since
        self.look: tuple[int, ...] = ()


class Plugins:
    """The plugins of one folder, and those of them that are loaded; a context manager that unloads them.

    The arguments are those of :func:`check_folder`. Modules of the plugin ``my-plugin`` are named
    ``NAMESPACE.my_plugin.MODULE``, for pickles too: whoever reads them loads the plugin first.

    Methods may be called from several threads. Loading is done one after the other; calls run at once.
    Nothing is raised for what is wrong with a plugin: it is reported, and the others run. A plugin that
    hangs, or ends the process by :func:`os._exit` or a crash, is not held up by anything here.
    """

    def __init__(
        self,
        folder: str,
        *,
        api: str = "",
        namespace: str = "loaded_plugins",
        check_owner: bool = True,
        digests: Mapping[str, str] | None = None,
        limits: Limits = USUAL_LIMITS,
        max_size: int = MAX_ARCHIVE,
    ) -> None:
        if not namespace.isidentifier():
            raise ValueError(f"the namespace {namespace!r} is no name of a module")
        if api and not is_api(api):
            raise ValueError(f"api is not MAJOR or MAJOR.MINOR: {api!r}")
        self.folder = os.fspath(folder)
        self.namespace = namespace
        self._api = api
        self._check_owner = check_owner
        self._digests = digests
        self._limits = limits
        self._max_size = max_size
        self._loaded: dict[str, _Loaded] = {}
        self._package: types.ModuleType | None = None
        self._lock = threading.RLock()

    def __enter__(self) -> Plugins:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def loaded(self) -> Mapping[str, Metadata]:
        """What is loaded, by name, in the order of loading."""
        # without the lock, here and in call: what is loaded is used while another is being loaded
        return {name: each.metadata for name, each in list(self._loaded.items())}

    def package(self, name: str) -> types.ModuleType:
        """Return the package that holds the modules of the loaded plugin *name*; KeyError if it is not."""
        return sys.modules[self._loaded[name].instance.prefix]

    def check(self) -> tuple[tuple[Checked, ...], tuple[Fault, ...]]:
        """Check the folder; nothing is loaded. See :func:`check_folder`."""
        return check_folder(
            self.folder,
            api=self._api,
            check_owner=self._check_owner,
            digests=self._digests,
            limits=self._limits,
            max_size=self._max_size,
        )

    def load(self, *names: str) -> Report:
        """Load the plugins *names*, or all, unless they are loaded; what is wrong with one is reported."""
        return self._update(names, reload=False)

    def refresh(self, *names: str) -> Report:
        """Load what is new among *names*, or in the folder, and reload what has changed.

        Objects of a plugin that is reloaded stay valid, and go on with the modules that they had. One whose
        new archive is refused, or fails at its import, runs on as it was. One whose archive has gone runs on.
        """
        return self._update(names, reload=True)

    def _update(self, names: Sequence[str], *, reload: bool) -> Report:
        with self._lock:
            try:
                with Folder(self.folder, check_owner=self._check_owner) as folder:
                    return self._update_from(folder, names, reload=reload)
            except Faulty as faulty:
                return Report(faults=faulty.faults)

    def _update_from(self, folder: Folder, names: Sequence[str], *, reload: bool) -> Report:
        by_file = {each.checked.file: each for each in self._loaded.values()}
        runtime = this_runtime()
        kept: dict[str, _Loaded] = {}
        read: list[tuple[Checked, Content | None]] = []
        looks = {}
        for name in folder.archives():
            file = os.path.join(folder.path, name)
            known = by_file.get(file)
            look = _look(folder, name)
            if known is not None and (not reload or (look and look == known.look)):
                kept[known.metadata.name] = known
                read.append((known.checked, None))
                continue
            looks[file] = look
            read.append(read_plugin(folder, name, runtime, self._api, self._limits, self._max_size))
        found: dict[str, list[str]] = {"loaded": [], "reloaded": [], "unchanged": []}
        faults: list[Fault] = []
        present = set()
        for checked, content in compared(read, self._digests):
            metadata = checked.metadata
            if metadata is not None:
                present.add(metadata.name)
            if names and (metadata is None or metadata.name not in names):
                continue
            faults += checked.faults
            if metadata is None or (checked.faults and metadata.name not in kept):
                continue
            old = self._loaded.get(metadata.name)
            if old is not None and old.checked.sha256 == checked.sha256:
                # the bytes are the same, wherever they lie now
                if checked.file in looks and checked.ok:
                    old.checked, old.look = checked, looks[checked.file]
                if metadata.name not in found["unchanged"]:
                    found["unchanged"].append(metadata.name)
            elif content is not None and (old is None or reload):
                started, told = self._start(checked, metadata, content, old)
                faults += told
                if started is not None:
                    started.look = looks[checked.file]
                    self._loaded[metadata.name] = started
                    found["loaded" if old is None else "reloaded"].append(metadata.name)
        missing = [name for name in self._loaded if name not in present and (not names or name in names)]
        for name in names:
            if name not in present and name not in self._loaded:
                faults.append(fault_of("absent", f"there is no plugin {shown(name)}", folder.path, name))
        return Report(
            tuple(found["loaded"]),
            tuple(found["reloaded"]),
            (),
            tuple(found["unchanged"]),
            tuple(missing),
            tuple(faults),
        )

    def _start(
        self, checked: Checked, metadata: Metadata, content: Content, old: _Loaded | None
    ) -> tuple[_Loaded | None, list[Fault]]:
        """Load what was checked, in place of *old*; return it, or None, and what went wrong."""
        if not self._open_namespace():
            problem = f"the namespace {self.namespace} is a module of something else"
            return None, [fault_of("namespace", problem, checked.file, metadata.name)]
        if old is not None:
            old.instance.retire()
        instance = Instance(content, f"{self.namespace}.{metadata.module_name}")
        try:
            instance.start()
            function = _resolve(instance, metadata.entry_point)
            if metadata.at_unload:
                _resolve(instance, metadata.at_unload)
        except KeyboardInterrupt:
            self._give_up(instance, old)
            raise
        except BaseException as error:
            fault = _raised("import", "when it was loaded", error, instance, checked.file, metadata.name)
            self._give_up(instance, old)
            return None, [fault]
        # only now: had the new one failed, the old one would have gone on
        return _Loaded(checked, metadata, instance, function), [] if old is None else self._at_unload(old)

    def _give_up(self, instance: Instance, old: _Loaded | None) -> None:
        instance.retire()
        if old is not None:
            old.instance.restore()
        self._close_namespace()

    def call(self, name: str, *arguments: Any, **named: Any) -> Called:
        """Call the entry point of the loaded plugin *name*; whatever it raises is reported.

        :class:`KeyboardInterrupt` passes through: it is the user's, not the plugin's.
        """
        loaded = self._loaded.get(name)
        if loaded is None:
            problem = f"the plugin {shown(name)} is not loaded"
            return Called(name, fault=fault_of("absent", problem, self.folder, name))
        try:
            return Called(name, loaded.function(*arguments, **named))
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            return Called(
                name,
                fault=_raised(
                    "call", "when it was called", error, loaded.instance, loaded.checked.file, name
                ),
            )

    def call_all(self, *arguments: Any, **named: Any) -> tuple[Called, ...]:
        """Call the entry point of each loaded plugin, in the order of loading."""
        return tuple(self.call(name, *arguments, **named) for name in self.loaded)

    def unload(self, *names: str) -> Report:
        """Unload the plugins *names*, or all: their modules and paths go from the import system.

        First what ``at_unload`` names is called. Objects that somebody holds stay valid; when nobody does,
        the plugin's memory is free. What a plugin has started or registered elsewhere is its own to end.
        """
        with self._lock:
            done = []
            faults = []
            for name in names or tuple(self._loaded):
                loaded = self._loaded.get(name)
                if loaded is None:
                    problem = f"the plugin {shown(name)} is not loaded"
                    faults.append(fault_of("absent", problem, self.folder, name))
                    continue
                faults += self._at_unload(loaded)
                del self._loaded[name]
                loaded.instance.retire()
                done.append(name)
            self._close_namespace()
            return Report(unloaded=tuple(done), faults=tuple(faults))

    def close(self) -> Report:
        """Unload all."""
        return self.unload()

    def _at_unload(self, loaded: _Loaded) -> list[Fault]:
        """Call what the plugin wants to be called before it goes."""
        if not loaded.metadata.at_unload:
            return []
        try:
            _resolve(loaded.instance, loaded.metadata.at_unload)()
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            file, name = loaded.checked.file, loaded.metadata.name
            return [_raised("unload", "when it was unloaded", error, loaded.instance, file, name)]
        return []

    def _open_namespace(self) -> bool:
        """Make the package that holds those of the plugins; False if the name is taken."""
        there = sys.modules.get(self.namespace)
        if self._package is None:
            if there is not None or _can_be_found(self.namespace):
                return False
            package = types.ModuleType(self.namespace, "The packages of loaded plugins.")
            # Flask, for one, asks for the origin of the first part of a name
            origin = os.path.realpath(self.folder)
            spec = importlib.machinery.ModuleSpec(self.namespace, None, origin=origin, is_package=True)
            package.__spec__ = spec
            # empty: its packages are put there, and nothing else is looked for
            package.__path__ = []
            package.__package__ = self.namespace
            self._package = sys.modules[self.namespace] = package
            return True
        return there is self._package

    def _close_namespace(self) -> None:
        if self._package is not None and not self._loaded:
            if sys.modules.get(self.namespace) is self._package:
                del sys.modules[self.namespace]
            self._package = None


def _can_be_found(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def _look(folder: Folder, name: str) -> tuple[int, ...]:
    """Return how a file looks, or nothing while a change could leave it looking the same."""
    try:
        look = folder.look(name)
    except OSError:
        return ()
    return look if time.time_ns() - max(look[-2:]) > _SETTLED else ()


def _resolve(instance: Instance, entry_point: str) -> Any:
    """Return what ``module:function`` names in a plugin; TypeError if it cannot be called."""
    module, _, names = entry_point.partition(":")
    found: Any = instance._import(module, None, None, ("__name__",), 0)
    for name in names.split("."):
        found = getattr(found, name)
    if not callable(found):
        raise TypeError(f"{entry_point} cannot be called")
    return found


def _raised(kind: str, when: str, error: BaseException, instance: Instance, file: str, name: str) -> Fault:
    """Return what a plugin raised as text: to keep the error would keep the plugin."""
    told = traceback.TracebackException(type(error), error, error.__traceback__)
    _cut(told, instance.base, set())
    if isinstance(error, SystemExit):
        return fault_of("exit", f"called for the end of the process ({_last(told)}) {when}", file, name)
    return fault_of(kind, f"raised {_last(told)} {when}", file, name, "".join(told.format()))


def _last(told: traceback.TracebackException) -> str:
    lines = [line.strip() for line in told.format_exception_only()]
    # of a syntax error the last line says what it is, and the first one where
    is_syntax = len(lines) > 1 and lines[0].startswith('File "')
    text = f"{lines[-1]}: {lines[0]}" if is_syntax else lines[0].partition("\n")[0]
    return text if len(text) <= 300 else text[:297] + "..."


def _cut(told: traceback.TracebackException | None, base: str, seen: set[int]) -> None:
    """Leave out what leads to the plugin, and the import system between its modules."""
    if told is None or id(told) in seen:
        return
    seen.add(id(told))
    start = next((index for index, each in enumerate(told.stack) if each.filename.startswith(base)), None)
    here = os.path.dirname(__file__)
    if start is not None:
        told.stack[:] = [
            each
            for each in told.stack[start:]
            if os.path.dirname(each.filename) != here and not each.filename.startswith("<frozen importlib")
        ]
    for each in (told.__cause__, told.__context__, *(getattr(told, "exceptions", None) or ())):
        _cut(each, base, seen)
