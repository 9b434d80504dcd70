"""What a result weighs, by package, and what to leave out of one that is too large; pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from .archive import MemberRecord
from .compress import logical_name
from .data import boot_modules, components, matches
from .errors import FileError
from .imports import LAZY, ImportGraph
from .inventory import Inventory
from .layout import Layout
from .manifest import FileRecord

__all__ = ["PackageSize", "SizeAccount", "TooLarge", "make_account", "weigh"]

_INTERPRETER = "(the interpreter)"
_REST = "(the rest)"
_DIRECTORIES = "(directories of archives, and the manifest)"


@dataclass(frozen=True, slots=True)
class PackageSize:
    """What one top-level module or package takes, in bytes."""

    name: str
    in_archive: int = 0
    on_disk: int = 0
    #: why it cannot be left out; empty if it can
    fixed: str = ""
    #: what --exclude calls it
    exclude: str = ""
    #: whether a trace names it
    traced: bool = False
    #: what else is taken that imports it, but in functions
    required_by: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """In all."""
        return self.in_archive + self.on_disk


@dataclass(frozen=True, slots=True)
class SizeAccount:
    """What a result takes in all, what it may take, and by package, largest first.

    *leave_out* names packages that neither a trace names nor anything else that stays imports, until it fits;
    *least* is the size without all such packages.
    """

    size: int
    limit: int
    packages: tuple[PackageSize, ...]
    leave_out: tuple[str, ...]
    least: int


class TooLarge(FileError):  # noqa: N818 - it reads as what it says
    """What was made is larger than it may be, and was removed."""

    exit_status = 1

    def __init__(self, file: str, account: SizeAccount) -> None:
        self.account = account
        over = account.size - account.limit
        if account.least > account.limit:
            cure = (
                f"{account.least} bytes stay if all is left out that a start and the application can do "
                "without: compress more (--preset small), take no sources (--source none), strip the "
                "interpreter, or allow more"
            )
        else:
            cure = "leave out what is not used: " + " ".join(
                f"--exclude {name}" for name in account.leave_out
            )
        super().__init__(
            f"this takes {account.size} bytes, {over} more than --max-size allows, and was removed",
            file=file,
            cure=cure,
        )


def weigh(
    members: Iterable[MemberRecord], files: Iterable[FileRecord], layout: Layout
) -> dict[str, PackageSize]:
    """Return what each package takes in the archive, and on disk with its sources and extension modules."""
    sizes: dict[str, PackageSize] = {}

    def add(name: str, in_archive: int, on_disk: int) -> None:
        known = sizes.setdefault(name, PackageSize(name))
        sizes[name] = replace(
            known, in_archive=known.in_archive + in_archive, on_disk=known.on_disk + on_disk
        )

    for member in members:
        add(_top(logical_name(member.name)), member.compressed_size, 0)
    for file in files:
        add(_owner(file.path, layout), 0, file.size)
    return sizes


def _owner(path: str, layout: Layout) -> str:
    if path.startswith(f"{layout.dynload}/"):
        return _top(path.removeprefix(f"{layout.dynload}/"))
    if any(path.startswith(f"{folder}/") for folder in layout.site_folders):
        return _REST
    if path.startswith(f"{layout.library}/"):
        return _top(path.removeprefix(f"{layout.library}/").removeprefix("__pycache__/"))
    shared = layout.shared_libraries
    is_interpreter = path in (layout.executable, layout.interpreter) or (
        shared and path.startswith(f"{shared}/")
    )
    return _INTERPRETER if is_interpreter and not path.endswith(".zip") else _REST


def _top(path: str) -> str:
    first, slash, _ = path.partition("/")
    return first if slash else first.partition(".")[0]


def make_account(
    sizes: Mapping[str, PackageSize],
    total: int,
    limit: int,
    inventory: Inventory,
    graph: ImportGraph,
    traced: Collection[str],
) -> SizeAccount:
    """Return the account of a result of *total* bytes that may take *limit*.

    *graph* has the imports of what was taken; *traced* are modules that a trace names.
    """
    known = inventory.modules()
    of_component = {
        entry.path.partition("/")[0]: entry.component for entry in inventory.entries if "/" in entry.path
    }
    names = {component.name for component in components()}
    required_by: dict[str, set[str]] = defaultdict(set)
    for entry in graph.imports:
        importer, module = entry.importer.partition(".")[0], entry.module.partition(".")[0]
        if entry.kind != LAZY and importer != module and importer in sizes:
            required_by[module].add(importer)
    tops = {name.partition(".")[0] for name in traced}
    packages = []
    for name, package in sizes.items():
        component = of_component.get(name, "core")
        exclude = name if name in known else component if component in names else ""
        fixed = ""
        if name == _INTERPRETER:
            fixed = "it runs everything"
        elif matches(name, boot_modules()):
            fixed = "starts read it"
        elif not exclude:
            fixed = "it is no module"
        packages.append(
            replace(
                package,
                fixed=fixed,
                exclude="" if fixed else exclude,
                traced=name in tops,
                required_by=tuple(sorted(required_by[name])),
            )
        )
    known_size = sum(package.size for package in packages)
    if total > known_size:
        packages.append(PackageSize(_DIRECTORIES, 0, total - known_size, "every result has them"))
    packages.sort(key=lambda package: (-package.size, package.name))
    steps = list(_steps(packages))
    leave_out: list[PackageSize] = []
    for step in steps:
        if total - sum(package.size for package in leave_out) <= limit:
            break
        leave_out += step
    least = total - sum(package.size for step in steps for package in step)
    names_out = tuple(dict.fromkeys(package.exclude for package in leave_out))
    return SizeAccount(total, limit, tuple(packages), names_out, least)


def _steps(packages: Sequence[PackageSize]) -> Iterator[list[PackageSize]]:
    """Yield what can be left out together, so that nothing that stays imports it: what gains most a package.

    To leave out one is to leave out what requires it too, and what that requires; where a start or the
    application is among these, it stays.
    """
    by_name = {package.name: package for package in packages}
    gone: set[str] = set()
    while True:
        best: list[PackageSize] = []
        for package in packages:
            together = [by_name[name] for name in _dependents(package.name, by_name) - gone]
            if any(each.fixed or each.traced for each in together):
                continue
            if _gain(together) > _gain(best):
                best = together
        if not best:
            return
        gone.update(package.name for package in best)
        yield sorted(best, key=lambda package: (-package.size, package.name))


def _dependents(name: str, packages: Mapping[str, PackageSize]) -> set[str]:
    found: set[str] = set()
    waiting = [name]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += packages[name].required_by
    return found


def _gain(packages: Sequence[PackageSize]) -> float:
    return sum(package.size for package in packages) / len(packages) if packages else 0.0
