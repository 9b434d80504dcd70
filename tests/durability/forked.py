"""Command lines of Python, each run in a fork of one process that has loaded already what they import.

A sweep runs the same command thousands of times. To start an interpreter and to load zipstrap is most of
what such a run does, above all under strace(1), and changes no file that a sweep looks at.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

__all__ = ["Forks"]

_SERVER = """\
import gc, importlib, json, os, pkgutil, resource, runpy, select, sys
from concurrent.futures import Future

class Inline:
    # in the place of ThreadPoolExecutor: what a thread would do is done by the one that is traced
    def __init__(self, *arguments):
        pass

    def submit(self, call, *arguments):
        done = Future()
        try:
            done.set_result(call(*arguments))
        except BaseException as error:
            done.set_exception(error)
        return done

    def shutdown(self, **options):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

for package in sys.argv[2:]:
    module = importlib.import_module(package)
    for found in pkgutil.walk_packages(module.__path__, package + "."):
        if not found.name.startswith(("zipstrap._in_target", "zipstrap.site_hooks")) \
                and not found.name.endswith("__main__"):
            importlib.import_module(found.name)
if sys.argv[1] == "one":
    sys.modules["zipstrap.stage"].ThreadPoolExecutor = Inline
gc.freeze()
print("ready", flush=True)

def child(words, limit, go, streams):
    os.read(go, 1)
    for number, handle in enumerate(streams):
        os.dup2(handle, number)
    os.closerange(3, 64)
    sys.stdin = open(0)
    if limit is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    kind, what, *arguments = words
    if kind == "-c":
        sys.argv = ["-c", *arguments]
        exec(compile(what, "<string>", "exec"), {"__name__": "__main__"})
    else:
        sys.argv = [what, *arguments]
        runpy.run_module(what, run_name="__main__", alter_sys=True)

def collect(outputs):
    # what the child, and whom it has started, write
    texts = {handle: b"" for handle in outputs}
    left = list(outputs)
    while left:
        for handle in select.select(left, [], [])[0]:
            data = os.read(handle, 65536)
            texts[handle] += data
            if not data:
                left.remove(handle)
    return [texts[handle].decode("utf-8", "surrogateescape") for handle in outputs]

for line in sys.stdin:
    words, limit = json.loads(line)
    null = os.open(os.devnull, os.O_RDONLY)
    (wait, go), (out, to_out), (error, to_error) = os.pipe(), os.pipe(), os.pipe()
    pid = os.fork()
    if pid == 0:
        child(words, limit, wait, (null, to_out, to_error))
        sys.exit(0)
    for handle in (null, wait, to_out, to_error):
        os.close(handle)
    print(pid, flush=True)
    sys.stdin.readline()
    os.write(go, b"g")
    texts = collect([out, error])
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    for handle in (go, out, error):
        os.close(handle)
    print(json.dumps([status, *texts]), flush=True)
"""


class Forks:
    """A process that has loaded *packages*, and runs command lines of this Python in forks of itself.

    With *one_thread* zipstrap does in its first thread what it leaves to others else.
    """

    def __init__(
        self, packages: Sequence[str], environ: Mapping[str, str], *, one_thread: bool = False
    ) -> None:
        self._environ = dict(environ)
        self._server = subprocess.Popen(
            [sys.executable, "-c", _SERVER, "one" if one_thread else "many", *packages],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=self._environ,
        )
        assert self._line() == "ready\n", "the packages cannot be loaded"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        assert self._server.stdin is not None
        self._server.stdin.close()
        with self._server:
            pass

    def run(
        self,
        command: Sequence[str | Path],
        *,
        strace: Sequence[str] = (),
        limit: int | None = None,
        timeout: float,
    ) -> subprocess.CompletedProcess[str]:
        """Run *command* as ``subprocess.run`` would, after ``strace OPTIONS`` if they are given.

        *limit* is that of the size of a file, in bytes. A command that takes longer than *timeout* seconds
        is killed. One that is not of this Python, with ``-m`` or ``-c``, is started as any other.
        """
        words = [str(word) for word in command[1:]]
        if command[0] != sys.executable or words[0] not in ("-m", "-c"):
            return _start(command, strace, limit, timeout, self._environ)
        pid = int(self._say(json.dumps([words, limit])))
        tracer = None
        if strace:
            tracer = _attach(pid, strace)
        killer = threading.Timer(timeout, os.kill, (pid, signal.SIGKILL))
        killer.start()
        try:
            status, out, error = json.loads(self._say("go"))
        finally:
            killer.cancel()
        if tracer is not None:
            tracer.communicate(timeout=timeout)
        done: subprocess.CompletedProcess[Any] = subprocess.CompletedProcess(words, status, out, error)
        return done

    def _say(self, line: str) -> str:
        assert self._server.stdin is not None
        self._server.stdin.write(line + "\n")
        self._server.stdin.flush()
        return self._line()

    def _line(self) -> str:
        assert self._server.stdout is not None
        return self._server.stdout.readline()


def _start(
    command: Sequence[str | Path],
    strace: Sequence[str],
    limit: int | None,
    timeout: float,
    environ: Mapping[str, str],
) -> subprocess.CompletedProcess[str]:
    def limit_size() -> None:
        if limit is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    return subprocess.run(
        [*(["strace", *strace, "--"] if strace else []), *map(str, command)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="surrogateescape",
        env=environ,
        timeout=timeout,
        check=False,
        preexec_fn=limit_size,
    )


def _attach(pid: int, options: Sequence[str]) -> subprocess.Popen[str]:
    """Let strace trace the process *pid* with *options*; it does when this returns."""
    tracer = subprocess.Popen(
        ["strace", *options, "-p", str(pid)], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    assert tracer.stderr is not None
    said = tracer.stderr.readline()
    assert "attached" in said, said + tracer.stderr.read()
    return tracer
