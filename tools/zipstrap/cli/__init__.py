"""The command line: arguments and exit statuses. stdout is data, stderr is everything else."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from typing import Any, NoReturn

from zipstrap import __version__
from zipstrap.errors import FileError, ZipstrapError

from . import (
    bundling,
    changing,
    comparing,
    hooking,
    installing,
    looking,
    making,
    packaging,
    plugging,
    tracing,
)
from .arguments import Parser

__all__ = ["main", "make_parser"]

_MODULES = (
    making,
    tracing,
    installing,
    changing,
    looking,
    comparing,
    packaging,
    hooking,
    bundling,
    plugging,
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status.

    0 ok, 1 a check failed, 2 usage, 3 interpreter missing or unusable, 4 input or output failed, 5 not
    supported for this target, 130 interrupted.
    """
    _open_streams()
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")  # a path may hold bytes that are no text
    try:
        with _interrupts():
            given = sys.argv[1:] if argv is None else list(argv)
            arguments = make_parser(*given[:1]).parse_args(given)
            return int(arguments.run(arguments))
    except ZipstrapError as error:
        print(f"zipstrap: {error}", file=sys.stderr)
        return error.exit_status
    except KeyboardInterrupt:
        print("zipstrap: interrupted; nothing was left behind", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # whoever read stdout has gone; Python would complain once more at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except OSError as error:
        return _failed(
            error.strerror or str(error), error.filename, "see that the file is there, and the disk not full"
        )
    except MemoryError:
        return _failed("there is not enough memory", None, "give it more, or use --jobs 1")


def _failed(problem: str, file: str | None, cure: str) -> int:
    failure = FileError(problem, file=file, cure=cure)
    print(f"zipstrap: {failure}", file=sys.stderr)
    return failure.exit_status


def _open_streams() -> None:
    """Give a stream that was closed by the caller a place to go, before another file gets its number."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            opened = os.open(os.devnull, os.O_RDWR)
            setattr(sys, name, open(opened, "w" if number else "r", encoding="utf-8"))  # noqa: SIM115, PTH123


@contextlib.contextmanager
def _interrupts() -> Iterator[None]:
    """Let the first interrupt, termination or hang-up raise KeyboardInterrupt, and no other one.

    What is done then is clearing away, which a second signal would stop halfway.
    """
    names = ("SIGINT", "SIGTERM", "SIGHUP")
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]

    def interrupt(_number: int, _frame: object) -> NoReturn:
        for number in numbers:
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    before: dict[int, Any] = {}
    try:
        for number in numbers:
            if signal.getsignal(number) is not signal.SIG_IGN:  # nohup is to be respected
                before[number] = signal.signal(number, interrupt)
    except ValueError:
        pass  # not the main thread: whoever called has its own signals
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def make_parser(verb: str = "") -> Parser:
    """Return the parser of the whole command line, or, which is quicker, of what the *verb* alone needs."""
    parser = Parser(
        prog="zipstrap",
        description="Pack a CPython's standard library into pythonXY.zip, stage a tree around it, "
        "and prove where it boots from.",
    )
    parser.add_argument("--version", action="version", version=f"zipstrap {__version__}")
    verbs = parser.add_subparsers(title="verbs", metavar="VERB", required=True)
    for module in [module for module in _MODULES if verb in module.VERBS] or _MODULES:
        module.add_verbs(verbs)
    return parser
