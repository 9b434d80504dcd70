"""What several verbs take, and what they make of it."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from zipstrap.config import CHOICES, load_config
from zipstrap.errors import InterpreterError, UsageError

if TYPE_CHECKING:  # imported where they are used: --version and --help stay quick
    from zipstrap.archive import Limits
    from zipstrap.build import Settings
    from zipstrap.interpreter import Facts, Found

__all__ = [
    "PYTHON_HELP",
    "Parser",
    "add_limits",
    "add_making",
    "add_selection",
    "add_tree",
    "add_verb",
    "find",
    "folder",
    "limits_of",
    "milliseconds",
    "positive",
    "processors",
    "settings_of",
    "size",
    "target_of_arguments",
]

_PROFILES = "standard, minimal or full"

PYTHON_HELP = "a path, a version such as 3.13 or 3.13t, or nothing for the interpreter that runs zipstrap"


class Parser(argparse.ArgumentParser):
    """Raises what the command line prints, and does not exit."""

    def error(self, message: str) -> NoReturn:
        """Raise what argparse would print."""
        raise UsageError(message, cure=f"see {self.prog} --help")


def add_verb(
    verbs: Any,
    name: str,
    run: Callable[[argparse.Namespace], int],
    about: str,
    formats: Sequence[str] = ("text", "json"),
) -> argparse.ArgumentParser:
    """Add the verb *name*, which *run* does; *about* is its help."""
    verb: argparse.ArgumentParser = verbs.add_parser(
        name, help=about, description=about[0].upper() + about[1:] + "."
    )
    verb.set_defaults(run=run)
    if formats:
        verb.add_argument("--format", choices=formats, default="text", help="what stdout holds")
    if name != "inspect":
        loudness = verb.add_mutually_exclusive_group()
        if name != "facts":
            loudness.add_argument("-v", "--verbose", action="store_true", help="say more")
        loudness.add_argument("-q", "--quiet", action="store_true", help="errors only")
    return verb


def add_selection(
    verb: argparse.ArgumentParser,
    force: str | None = "replace a destination that zipstrap made; nothing may be running from it",
) -> None:
    """Add what selects, compiles and writes a result of its own; *force* is the help of --force, if any."""
    verb.add_argument("--profile", metavar="NAME", help=f"{_PROFILES} (default: standard)")
    verb.add_argument(
        "--include", action="append", metavar="NAME", help="a component or module to take; repeatable"
    )
    verb.add_argument(
        "--exclude", action="append", metavar="NAME", help="a component or module to leave; repeatable"
    )
    verb.add_argument(
        "--trace",
        action="append",
        type=folder,
        metavar="FILE",
        help="take what this trace names, in place of a profile; repeatable (see zipstrap trace)",
    )
    add_making(verb)
    if force is not None:
        verb.add_argument("--force", action="store_true", help=force)
    verb.add_argument("--dry-run", action="store_true", help="print the plan and write nothing")
    verb.add_argument("--facts", type=Path, metavar="FILE", help="take the facts of PYTHON from this file")


def add_making(verb: argparse.ArgumentParser) -> None:
    """Add what compiles, and says how an archive is made."""
    verb.add_argument(
        "--optimize", type=int, choices=CHOICES["optimize"], help="the level of the bytecode (default: 0)"
    )
    verb.add_argument(
        "--source",
        choices=CHOICES["source"],
        help="where the sources are: in the archive beside the bytecode, as files in the library's folder "
        "for tools that open them by path, or nowhere (default: disk in the layout fast, else archive)",
    )
    verb.add_argument(
        "--preset",
        choices=CHOICES["preset"],
        help="what --compress, --hot, --source and --debug-ranges are unless given: fast (deflate, the usual "
        "modules stored) or small (libdeflate, or the dictionary where it can be read; no debug ranges, no "
        "sources)",
    )
    verb.add_argument(
        "--compress",
        choices=CHOICES["compress"],
        help="how members are kept: as they are, deflated by zlib, by libdeflate or by zopfli (best), by "
        "Zstandard (from 3.15 on) or by Zstandard over a dictionary of their own (layout fast, from 3.14 on) "
        "(default: stored)",
    )
    verb.add_argument(
        "--hot",
        choices=CHOICES["hot"],
        help="which modules stay stored when the others are compressed: the usual ones, which many programs "
        "import, or none (default: none)",
    )
    verb.add_argument(
        "--hot-of",
        action="append",
        metavar="ARGS",
        help="run the interpreter with these arguments, and keep what it imports stored too; "
        "@FILE takes what a trace names; repeatable",
    )
    verb.add_argument(
        "--debug-ranges",
        choices=CHOICES["debug_ranges"],
        help="whether bytecode says to which columns it belongs, which tracebacks mark from 3.11 on "
        "(default: yes)",
    )
    verb.add_argument(
        "--jobs", type=positive, metavar="N", help="compilers at a time (default: one a processor)"
    )
    verb.add_argument("--no-cache", action="store_true", help="compile everything anew")


def add_limits(verb: argparse.ArgumentParser) -> None:
    """Add how far compressed members may expand."""
    verb.add_argument(
        "--max-member",
        type=size,
        metavar="SIZE",
        help="how far one compressed member of an archive may expand, in bytes, or with K, M or G "
        "(default: 64M)",
    )
    verb.add_argument(
        "--max-total", type=size, metavar="SIZE", help="how far all of them may expand (default: 1G)"
    )


def limits_of(arguments: argparse.Namespace) -> Limits:
    """Return what :func:`add_limits` was given."""
    from zipstrap.archive import Limits

    usual = Limits()
    return Limits(
        usual.member if arguments.max_member is None else arguments.max_member,
        usual.total if arguments.max_total is None else arguments.max_total,
    )


def size(text: str) -> int:
    """Return the number of bytes that *text* is: ``64M`` is 64 MiB."""
    found = re.fullmatch("([0-9]{1,15})([KMG]?)", text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no size, such as 65536 or 64M")
    return int(found[1]) << {"": 0, "K": 10, "M": 20, "G": 30}[found[2]]


def add_tree(verb: argparse.ArgumentParser) -> None:
    """Add what decides how a tree starts."""
    verb.add_argument(
        "--layout",
        choices=CHOICES["layout"],
        help="where things go and who reads them; directory leaves the library unpacked, to compare with "
        "(default: fast)",
    )
    verb.add_argument(
        "--guard",
        choices=CHOICES["guard"],
        help="what the start-up guard does when the library is not the tree's own; digest stops too, and "
        "each start checks the archive's SHA-256 before it runs anything of it (default: report)",
    )
    verb.add_argument(
        "--zips",
        choices=CHOICES["zips"],
        help="what adds the archives of the zips folder at each start; start from 3.15 on "
        "(default: sitecustomize)",
    )
    verb.add_argument(
        "--site",
        choices=CHOICES["site"],
        help="in the layout isolated: whether starts have exit(), help() and what else site brings "
        "without running anything (default: off)",
    )
    verb.add_argument("--no-verify", action="store_true", help="leave the tree unverified, and say so")


def folder(text: str) -> Path:
    """Return the path that *text* is; an empty one is a variable that was not set, not this folder."""
    if not text:
        raise argparse.ArgumentTypeError("the name is empty")
    return Path(text)


def positive(text: str) -> int:
    """Return the whole number above 0 that *text* is."""
    number = int(text) if text.isascii() and text.isdigit() else 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return number


def milliseconds(text: str) -> float:
    """Return the time in ms that *text* is."""
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0.001 <= number <= 10_000:
        raise argparse.ArgumentTypeError(f"{text!r} is no time in ms, from 0.001 to 10000")
    return number


def processors() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def settings_of(arguments: argparse.Namespace) -> Settings:
    """Turn arguments, environment and configuration files into settings, and check them."""
    from zipstrap.build import Settings
    from zipstrap.plan import Options

    config = load_config(Path.cwd(), os.environ)

    def setting(name: str, default: Any) -> Any:
        given = getattr(arguments, name, None)
        return config.get(name, default) if given is None else given

    traces = tuple(map(Path, setting("trace", ())))
    profile = setting("profile", "")
    if traces and profile:
        raise UsageError(
            f"the profile {profile} and a trace are both given: a trace makes a profile of its own",
            cure="leave out one of them; --include adds to what a trace names",
        )
    options = Options(
        optimize=setting("optimize", 0),
        source=setting("source", ""),
        compress=setting("compress", ""),
        guard=setting("guard", "report"),
        zips=setting("zips", "sitecustomize"),
        site=setting("site", ""),
        preset=setting("preset", ""),
        hot=setting("hot", ""),
        hot_of=tuple(setting("hot_of", ())),
        # of the verbs that make something only build asks for it
        extensions=setting("extensions", "disk") if hasattr(arguments, "extensions") else "disk",
        debug_ranges={"yes": True, "no": False, "": None}[setting("debug_ranges", "")],
    )
    return Settings(
        profile=profile or "standard",
        layout=setting("layout", "fast"),
        include=tuple(setting("include", ())),
        exclude=tuple(setting("exclude", ())),
        traces=traces,
        options=options,
        jobs=setting("jobs", processors()),
        force=getattr(arguments, "force", False),
        verify=not getattr(arguments, "no_verify", False),
        cache=not arguments.no_cache,
        max_size=getattr(arguments, "max_size", None),
    )


def target_of_arguments(arguments: argparse.Namespace) -> Facts:
    """Return the facts of PYTHON, or those from the file that --facts names."""
    from zipstrap.interpreter import load_facts

    if arguments.facts is not None:
        if arguments.python is not None:
            raise UsageError("PYTHON and --facts are both given", cure="give one of them")
        facts = load_facts(arguments.facts)
        if not Path(facts.executable).is_file():
            raise InterpreterError(
                "the interpreter that these facts are of is not here",
                file=facts.executable,
                cure="build where it is: its own compiler makes the bytecode",
            )
        return facts
    return find(arguments.python, arguments).facts


def find(python: str | None, arguments: argparse.Namespace) -> Found:
    """Find *python*, and print what there is to note of it."""
    from zipstrap.interpreter import find_interpreter

    found = find_interpreter(python)
    if not arguments.quiet:
        for note in found.notes:
            print(f"note: {note}", file=sys.stderr)
    return found
