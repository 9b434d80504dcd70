"""Import a plugin's modules from the bytes that were checked, in a package of their own."""

from __future__ import annotations

import builtins
import functools
import importlib.machinery
import importlib.util
import io
import os
import re
import sys
import threading
import types
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from .plugin_checks import Content

__all__ = ["Instance"]


class _Finder:
    """Finds the modules of one folder of an archive; what ``sys.path_importer_cache`` holds for it."""

    def __init__(self, instance: Instance, folder: str) -> None:
        self.instance = instance
        self.folder = folder

    def find_spec(self, fullname: str, target: object = None) -> importlib.machinery.ModuleSpec | None:  # noqa: ARG002
        last = fullname.rpartition(".")[2]
        path = f"{self.folder}/{last}" if self.folder else last
        return self.instance.spec(fullname, path)

    def iter_modules(self, prefix: str = "") -> Iterator[tuple[str, bool]]:
        """Yield name and kind of each module, for pkgutil."""
        start = self.folder.replace("/", ".") + "." if self.folder else ""
        for name, module in sorted(self.instance.content.modules.items()):
            if name.startswith(start) and name != "" and "." not in name[len(start) :]:
                yield prefix + name[len(start) :], module.is_package

    def invalidate_caches(self) -> None:
        """Do nothing: an archive that was read does not change."""


class _Loader:
    """Loads one module of a plugin."""

    def __init__(self, instance: Instance, fullname: str, dotted: str) -> None:
        self.instance = instance
        self.name = fullname
        self.dotted = dotted
        self.module = instance.content.modules.get(dotted)

    def __repr__(self) -> str:
        return f"<plugin loader of {self.name} in {self.instance.base}>"

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> None:
        """Leave it to the import system."""

    def exec_module(self, module: types.ModuleType) -> None:
        """Run the module's code in it, with the plugin's own import."""
        code = self.get_code(self.name)
        module.__dict__["__builtins__"] = self.instance.builtins
        exec(code, module.__dict__)

    def get_code(self, fullname: str) -> types.CodeType:
        """Return the module's code: its bytecode, or else what its source is compiled to."""
        self._asked(fullname)
        if self.module is None:
            return compile("", self.path, "exec")
        data = self.instance.content.read(self.module.member)
        if not self.module.member.endswith(".pyc"):
            return compile(data, self.path, "exec", dont_inherit=True)
        import _imp
        import marshal

        code = marshal.loads(data[16:])
        if not isinstance(code, types.CodeType):
            raise ImportError(f"{self.path} holds no code", name=self.name, path=self.path)  # noqa: TRY004
        # a path of where it was compiled would lead people, and tools, to another file
        _imp._fix_co_filename(code, self.path)  # type: ignore[attr-defined]
        return code

    def get_source(self, fullname: str) -> str | None:
        """Return the module's source, or None if the archive has bytecode alone."""
        self._asked(fullname)
        if self.module is None:
            return ""
        if not self.module.source:
            return None
        return importlib.util.decode_source(self.instance.content.read(self.module.source))

    def is_package(self, fullname: str) -> bool:
        """Tell whether it is a package."""
        self._asked(fullname)
        return self.module is None or self.module.is_package

    @property
    def path(self) -> str:
        """What the module has as ``__file__``: no file has this name."""
        if self.module is None:
            return self.instance.base + "/__init__.py"
        return f"{self.instance.base}/{self.module.source or self.module.member}"

    def get_filename(self, fullname: str) -> str:
        """Return :attr:`path`."""
        self._asked(fullname)
        return self.path

    def get_data(self, path: str) -> bytes:
        """Return the bytes of a file of the archive, by its path."""
        start = self.instance.base + "/"
        name = os.fspath(path).replace(os.sep, "/")
        name = name[len(start) :] if name.startswith(start) else name
        if name not in self.instance.content.names or name.endswith("/"):
            raise FileNotFoundError(2, "No such file or directory", path)
        return self.instance.content.read(name)

    def get_resource_reader(self, fullname: str) -> _Resources | None:
        """Return what importlib.resources reads a package's files by; None for a module."""
        if not self.is_package(fullname):
            return None
        folder = self.dotted.replace(".", "/")
        return _Resources(self.instance, folder + "/" if folder else "")

    if sys.version_info[:2] == (3, 9):
        # there, files() asks for no reader, but for a path that it gives to zipfile.Path

        @property
        def archive(self) -> Any:
            return self.instance.zip()

    def _asked(self, fullname: str) -> None:
        if fullname != self.name:
            raise ImportError(f"the loader of {self.name} cannot load {fullname}", name=fullname)


class _Resources:
    """The files of a package, as importlib.resources asks for them."""

    def __init__(self, instance: Instance, folder: str) -> None:
        self.instance = instance
        self.folder = folder

    def files(self) -> Any:
        """Return the package's folder, as a zipfile.Path over the bytes that were checked."""
        import zipfile

        return zipfile.Path(self.instance.zip(), self.folder)

    def open_resource(self, resource: str) -> io.BytesIO:
        """Return a binary file."""
        if not self.is_resource(resource):
            raise FileNotFoundError(2, "No such file or directory", self.folder + resource)
        return io.BytesIO(self.instance.content.read(self.folder + resource))

    def resource_path(self, resource: str) -> str:
        """Say that there is no path; importlib.resources makes a copy then."""
        raise FileNotFoundError(resource)

    def is_resource(self, name: str) -> bool:
        """Tell whether there is such a file."""
        return self.folder + name in self.instance.content.names and not name.endswith("/")

    def contents(self) -> Iterator[str]:
        """Yield the names of the files and folders."""
        seen = set()
        for name in sorted(self.instance.content.names):
            first = name[len(self.folder) :].partition("/")[0]
            if name.startswith(self.folder) and first and first not in seen:
                seen.add(first)
                yield first


#: Functions of standard modules whose first argument is a name. They look for it by themselves, so the
#: plugin's import does not hear of it: certifi asks for the files of "certifi", rich for a module of "rich",
#: Flask for the version of "werkzeug".
_BY_NAME = {
    "importlib": ("import_module",),
    "importlib.util": ("find_spec",),
    "importlib.metadata": ("distribution", "files", "metadata", "requires", "version"),
    "importlib.resources": (
        "contents",
        "files",
        "is_resource",
        "open_binary",
        "open_text",
        "path",
        "read_binary",
        "read_text",
    ),
    "pkgutil": ("get_data",),
}


class _View(types.ModuleType):
    """A standard module as a plugin sees it: the same, but that names are looked up in the plugin first."""

    def __init__(self, instance: Instance, real: types.ModuleType) -> None:
        super().__init__(real.__name__, real.__doc__)
        self.__dict__.update(
            {name: getattr(real, name) for name in ("__spec__", "__package__", "__loader__")},
            _instance=instance,
            _real=real,
        )

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._real, name)
        if name in _BY_NAME[self.__name__]:
            own: dict[str, Callable[..., Any]] = {
                "import_module": self._import_module,
                "find_spec": self._find_spec,
                "get_data": self._get_data,
                "distribution": self._distribution,
            }
            if self.__name__ == "importlib.metadata" and name not in own:
                return self._wrapped(
                    value, lambda distribution: getattr(self._distribution(distribution), name)
                )
            return self._wrapped(value, own.get(name) or self._by_module(value))
        return self._instance.view(value) if isinstance(value, types.ModuleType) else value

    def __dir__(self) -> list[str]:
        return dir(self._real)

    @staticmethod
    def _wrapped(function: Callable[..., Any], own: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def wrapped(*arguments: Any, **named: Any) -> Any:
            return own(*arguments, **named)

        return wrapped

    def _by_module(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Let a function of importlib.resources have the module itself, which it takes as well."""

        def by_module(*arguments: Any, **named: Any) -> Any:
            full = self._instance.full_name(arguments[0]) if arguments and type(arguments[0]) is str else None
            if full is not None:
                arguments = (self._instance.module(full), *arguments[1:])
            return function(*arguments, **named)

        return by_module

    def _import_module(self, name: str, package: str | None = None) -> Any:
        full = self._instance.full_name(name, package)
        if full is None:
            return self._instance.view(self._real.import_module(name, package))
        return self._instance.module(full)

    def _find_spec(self, name: str, package: str | None = None) -> Any:
        full = self._instance.full_name(name, package)
        if full is None:
            return self._real.find_spec(name, package)
        # as the real one, which imports the package above
        above = full.rpartition(".")[0]
        if full != self._instance.prefix:
            self._instance.module(above)
        return self._instance.spec(full, full[len(self._instance.prefix) + 1 :].replace(".", "/"))

    def _get_data(self, package: str, resource: str) -> Any:
        full = self._instance.full_name(package)
        if full is None:
            return self._real.get_data(package, resource)
        module = self._instance.module(full)
        loader = getattr(module, "__loader__", None)
        if not isinstance(loader, _Loader) or module.__file__ is None:
            return None
        return loader.get_data("/".join((module.__file__.rpartition("/")[0], resource)))

    def _distribution(self, distribution_name: str) -> Any:
        found = self._instance.distribution(distribution_name)
        return self._real.distribution(distribution_name) if found is None else found


#: the archives whose modules the import system knows, by what their paths begin with
_BASES: dict[str, Instance] = {}
_LOCK = threading.RLock()


def _hook(path: str) -> _Finder:
    """Give the import system a finder for a path below a plugin's archive; one of ``sys.path_hooks``."""
    if isinstance(path, str):
        for base, instance in list(_BASES.items()):
            if path == base:
                return _Finder(instance, "")
            if path.startswith(base + "/"):
                return _Finder(instance, path[len(base) + 1 :])
    raise ImportError("not a plugin", path=path)


class Instance:
    """One loading of an archive: its modules, under *prefix*, and the import that they have.

    After :meth:`retire` the import system does not know it any more, and its objects live on: what they
    import of the plugin comes from here, never from what took the plugin's place.
    """

    def __init__(self, content: Content, prefix: str) -> None:
        self.content = content
        self.prefix = prefix
        self.retired = False
        self.modules: dict[str, types.ModuleType] = {}
        self._views: dict[str, types.ModuleType] = {}
        self.builtins = {**vars(builtins), "__import__": self._import}
        self._lock = threading.RLock()
        self._zip: Any = None
        with _LOCK:
            # the content is part of the name: lines of the next version are not shown for this one's code
            self.base = base = f"{content.file}#{content.sha256[:12]}"
            count = 1
            while self.base in _BASES:
                count += 1
                self.base = f"{base}-{count}"
            _BASES[self.base] = self
            if _hook not in sys.path_hooks:
                sys.path_hooks.insert(0, _hook)

    def spec(self, fullname: str, path: str) -> importlib.machinery.ModuleSpec | None:
        """Return the spec of what lies at *path*, without a suffix, in the archive; None if nothing does."""
        dotted = path.replace("/", ".")
        module = self.content.modules.get(dotted)
        if module is None and path in self.content.folders:
            found = importlib.machinery.ModuleSpec(fullname, None, is_package=True)
            found.submodule_search_locations = [f"{self.base}/{path}"]
            return found
        if module is None and path:
            return None
        loader = _Loader(self, fullname, dotted)
        found = importlib.machinery.ModuleSpec(
            fullname,
            loader,  # type: ignore[arg-type]
            origin=loader.path,
            is_package=module is None or module.is_package,
        )
        found.has_location = True
        if found.submodule_search_locations is not None:
            found.submodule_search_locations.append(f"{self.base}/{path}" if path else self.base)
        return found

    def start(self) -> None:
        """Put the plugin's package, which holds its modules, where the import system looks for it."""
        self._load(self.prefix, sys.modules)

    def _load(self, fullname: str, table: dict[str, types.ModuleType]) -> types.ModuleType:
        """Load a module into *table*, which has those above it."""
        path = fullname[len(self.prefix) + 1 :].replace(".", "/")
        spec = self.spec(fullname, path)
        if spec is None:
            raise ModuleNotFoundError(f"No module named {fullname!r}", name=fullname)
        module = importlib.util.module_from_spec(spec)
        table[fullname] = module
        try:
            if spec.loader is not None:
                spec.loader.exec_module(module)
        except BaseException:
            table.pop(fullname, None)
            raise
        module = table.get(fullname, module)
        parent = table.get(fullname.rpartition(".")[0])
        if parent is not None:
            setattr(parent, fullname.rpartition(".")[2], module)
        return module

    def _import(
        self,
        name: str,
        globals: Mapping[str, Any] | None = None,  # noqa: A002 - the signature of __import__
        locals: Mapping[str, Any] | None = None,  # noqa: A002
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> types.ModuleType:
        """Import as the plugin's modules do: its own modules come first."""
        full = self._own_name(name, globals, level)
        if full is None:
            module = builtins.__import__(name, globals, locals, fromlist or (), level)
            return self.view(module)
        if not self.retired:
            try:
                module = builtins.__import__(full, None, None, fromlist or ("__name__",), 0)
                if not fromlist and not level:
                    module = sys.modules["{}.{}".format(self.prefix, name.partition(".")[0])]
            except (ImportError, KeyError):
                # it may have been retired meanwhile
                if not self.retired:
                    raise
            # what took its place may have answered
            if not self.retired:
                return module
        return self._import_retired(name, full, fromlist or (), level)

    def module(self, full: str) -> types.ModuleType:
        """Return the plugin's module with this full name, loaded if need be."""
        if not self.retired:
            module = importlib.import_module(full)
            if not self.retired:
                return module
        with self._lock:
            return self._own(full)

    def full_name(self, name: str, package: str | None = None) -> str | None:
        """Return the full name of what code of the plugin calls *name*, if it is a module of the plugin."""
        if name.startswith("."):
            if not package:
                return None
            name = importlib.util.resolve_name(name, package)
        if name == self.prefix or name.startswith(self.prefix + "."):
            return name
        return f"{self.prefix}.{name}" if name.partition(".")[0] in self.content.top else None

    def view(self, module: types.ModuleType) -> types.ModuleType:
        """Return a standard module as the plugin sees it: some of them take modules by name."""
        name = getattr(module, "__name__", None)
        if name not in _BY_NAME or sys.modules.get(name) is not module:
            return module
        with self._lock:
            if name not in self._views:
                self._views[name] = _View(self, module)
            return self._views[name]

    def _own_name(self, name: str, globals: Mapping[str, Any] | None, level: int) -> str | None:  # noqa: A002
        """Return the full name if this is, relatively or by its first part, a module of the plugin."""
        if level:
            package = (globals or {}).get("__package__") or ""
            full = importlib.util.resolve_name("." * level + name, package) if package else ""
        else:
            full = f"{self.prefix}.{name}" if name.partition(".")[0] in self.content.top else ""
        return full if full == self.prefix or full.startswith(self.prefix + ".") else None

    def _import_retired(self, name: str, full: str, fromlist: Sequence[str], level: int) -> types.ModuleType:
        with self._lock:
            module = self._own(full)
            if not fromlist:
                return module if level else self.modules["{}.{}".format(self.prefix, name.partition(".")[0])]
            if hasattr(module, "__path__"):
                listed = getattr(module, "__all__", ()) if "*" in fromlist else ()
                for each in (*fromlist, *listed):
                    if each != "*" and not hasattr(module, each):
                        try:
                            self._own(f"{full}.{each}")
                        except ModuleNotFoundError as error:
                            if error.name != f"{full}.{each}":
                                raise
            return module

    def _own(self, full: str) -> types.ModuleType:
        """Return a module of this plugin, loaded if need be, apart from ``sys.modules``."""
        names = full[len(self.prefix) + 1 :].split(".") if full != self.prefix else []
        at = self.prefix
        module = self.modules[at]
        for name in names:
            at = f"{at}.{name}"
            known = self.modules.get(at)
            module = self._load(at, self.modules) if known is None else known
        return module

    def own_modules(self) -> dict[str, types.ModuleType]:
        """Return what ``sys.modules`` has of the plugin."""
        start = self.prefix + "."
        return {
            name: module
            for name, module in list(sys.modules.items())
            if name == self.prefix or name.startswith(start)
        }

    def retire(self) -> None:
        """Take the plugin's modules out of the import system."""
        with _LOCK:
            self.modules = self.own_modules()
            self.retired = True
            for name in self.modules:
                sys.modules.pop(name, None)
            self._attribute(None)
            _BASES.pop(self.base, None)
            if not _BASES and _hook in sys.path_hooks:
                sys.path_hooks.remove(_hook)
            self._forget_paths()

    def restore(self) -> None:
        """Undo :meth:`retire`, when what was to take the plugin's place has failed."""
        with _LOCK:
            _BASES[self.base] = self
            if _hook not in sys.path_hooks:
                sys.path_hooks.insert(0, _hook)
            sys.modules.update(self.modules)
            self._attribute(self.modules.get(self.prefix))
            self.retired = False
            self.modules = {}

    def _attribute(self, module: types.ModuleType | None) -> None:
        """Bind the plugin's package in the namespace, or unbind it."""
        namespace, _, name = self.prefix.rpartition(".")
        parent = sys.modules.get(namespace)
        if parent is not None and module is not None:
            setattr(parent, name, module)
        elif parent is not None:
            parent.__dict__.pop(name, None)

    def _forget_paths(self) -> None:
        start = self.base + "/"
        linecache = sys.modules.get("linecache")
        caches: list[Any] = [sys.path_importer_cache]
        if linecache is not None:
            caches.append(linecache.cache)
        for cache in caches:
            for path in list(cache):
                if isinstance(path, str) and (path == self.base or path.startswith(start)):
                    cache.pop(path, None)

    def distribution(self, name: str) -> Any:
        """Return the distribution *name* of importlib.metadata, if the archive has its ``.dist-info``."""
        from importlib import metadata

        for each in self.content.names:
            folder, _, last = each.partition("/")
            if (
                last == "METADATA"
                and folder.endswith(_INFO)
                and _plain(folder.partition("-")[0]) == _plain(name)
            ):
                return _distribution_class(metadata)(self, folder)
        return None

    def zip(self) -> Any:
        """Return the archive for importlib.resources: zipfile over the bytes that were checked."""
        with self._lock:
            if self._zip is None:
                self._zip = _zip_class()(io.BytesIO(self.content.data))
                self._zip.filename = self.base
            return self._zip


#: what holds the metadata of an installed distribution, at the root of an archive
_INFO = ".dist-info"


def _plain(name: str) -> str:
    """Return what names of one distribution have in common (PEP 503)."""
    return re.sub("[-_.]+", "-", str(name)).lower()


def _distribution_class(metadata: Any) -> Any:
    class PluginDistribution(metadata.Distribution):  # type: ignore
        """A distribution in a plugin's archive."""

        def __init__(self, instance: Instance, folder: str) -> None:
            self._instance = instance
            self._folder = folder

        def read_text(self, filename: str) -> str | None:
            """Return the text of a file of its metadata."""
            name = f"{self._folder}/{filename}"
            if name not in self._instance.content.names:
                return None
            return self._instance.content.read(name).decode("utf-8")

        def locate_file(self, path: Any) -> Any:
            """Return where a file of it is."""
            import zipfile

            return zipfile.Path(self._instance.zip(), str(path).replace(os.sep, "/"))

    return PluginDistribution


def _zip_class() -> Any:
    import zipfile

    if sys.version_info[:2] != (3, 9):
        return zipfile.ZipFile

    class Zip(zipfile.FastLookup):  # type: ignore
        def __fspath__(self) -> str:
            return str(self.filename)

    return Zip
