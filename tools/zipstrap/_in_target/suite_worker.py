"""Run CPython's own suite under its own runner, and write down what becomes of each test case.

    argv    RECORD ARGUMENT...     the arguments are those of ``python -m test``

One line of JSON goes to RECORD at each step, so that what ran before a crash or a kill is known:

    {"event": "begin", "worker": "suite_worker", "schema": 1, "version": [3, 13, 0]}
    {"event": "start", "id": ID}                        a case begins
    {"event": "outcome", "id": ID, "outcome": OUTCOME, "brief": LINE, "text": TEXT}
    {"event": "stop", "id": ID}                         it has ended; no outcome before that is "passed"
    {"event": "end", "status": STATUS}                  the runner's exit status

OUTCOME is passed, failed, error, skipped, "expected failure" or "unexpected success". A case with subtests
has an outcome line for each subtest that did not pass. Outcomes without a start are those of fixtures
(setUpClass, setUpModule) and, up to 3.10, of the doctests that a test file runs by itself.

It is run by ``-c``, under a file name in angle brackets. The suite's own runner is used whole, so that it
prepares and cleans as always; only the class that counts its results is listened to. Exit status 64, with
"unsupported" in the record, if the suite has no such class.
"""

from __future__ import annotations

import importlib
import json
import os
import runpy
import signal
import sys
import traceback

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing is not worth its time in the target
    from typing import Any

WORKER = "suite_worker"
SCHEMA = 1
UNSUPPORTED_STATUS = 64

#: What is kept of a traceback, in characters: its beginning and its end.
KEPT = 8000

#: Where the class is: from 3.11 on, and before.
PLACES = ("test.libregrtest.testresult", "test.support.testresult")


class Record:
    """Appends to a file; opened for each line, because tests count and close file descriptors."""

    def __init__(self, path):
        self.path = os.path.abspath(path)
        # a test may replace these for a time
        self.pid, self.getpid = os.getpid(), os.getpid
        self.open, self.write, self.close = os.open, os.write, os.close
        self.flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT

    def __call__(self, **event):
        if self.getpid() != self.pid:
            return  # a child of a test that forked
        line = json.dumps(event, ensure_ascii=True) + "\n"
        number = self.open(self.path, self.flags, 0o644)
        try:
            self.write(number, line.encode("ascii"))
        finally:
            self.close(number)


def id_of(test):
    """Return the name of *test*, also if it is no test case (as in an error of a fixture)."""
    try:
        return str(test.id())
    except Exception:
        return str(test)


def described(error):
    """Return the first line of what was raised, and the traceback."""
    try:
        kind, value, trace = error
        brief = "".join(traceback.format_exception_only(kind, value)).strip().partition("\n")[0]
        text = "".join(traceback.format_exception(kind, value, trace))
    except Exception:
        brief = text = repr(error)
    if len(text) > KEPT:
        text = text[: KEPT // 2] + "\n[...]\n" + text[-KEPT // 2 :]
    return brief[:500], text


class Listener:
    """Hears what the suite's own result class is told, from the outermost run of cases alone."""

    def __init__(self, record):
        self.record = record
        self.active = None  # the result whose case is running: tests of unittest make more of them

    def listen(self, kind):
        self.wrap(kind, "startTest", self.start)
        self.wrap(kind, "stopTest", self.stop)
        self.wrap(kind, "addSuccess", self.outcome("passed"))
        self.wrap(kind, "addError", self.outcome("error"))
        self.wrap(kind, "addFailure", self.outcome("failed"))
        self.wrap(kind, "addSkip", self.outcome("skipped"))
        self.wrap(kind, "addExpectedFailure", self.outcome("expected failure"))
        self.wrap(kind, "addUnexpectedSuccess", self.outcome("unexpected success"))
        self.wrap(kind, "addSubTest", self.subtest)

    def wrap(self, kind, name, heard):
        original = getattr(kind, name)

        def method(result, *arguments, **named):
            heard(result, *arguments, **named)
            return original(result, *arguments, **named)

        setattr(kind, name, method)

    def start(self, result, test):
        if self.active is None:
            self.active = result
            self.record(event="start", id=id_of(test))

    def stop(self, result, test):
        if self.active is result:
            self.active = None
            self.record(event="stop", id=id_of(test))

    def outcome(self, name):
        def heard(result, test, said=None):
            if self.active is None or self.active is result:
                self.say(test, name, said)

        return heard

    def subtest(self, result, test, subtest, error):
        if error is not None and self.active is result:
            failed = issubclass(error[0], test.failureException)
            self.say(subtest, "failed" if failed else "error", error, case=test)

    def say(self, test, name, said, case=None):
        # the case of a subtest is what is paired: a subtest's name may hold anything
        brief, text = (
            ("", "") if said is None else (said[:500], "") if isinstance(said, str) else described(said)
        )
        owner = case if case is not None else getattr(test, "test_case", test)
        part = "" if owner is test else id_of(test)
        self.record(event="outcome", id=id_of(owner), outcome=name, brief=brief, text=text, part=part)


def listen_to_doctests(support, record):
    """Hear the doctests that a test file runs with ``support.run_doctest``, each by its name."""
    original = getattr(support, "run_doctest", None)
    if original is None:
        return

    def run_doctest(module, *arguments, **named):
        import doctest

        run = doctest.DocTestRunner.run
        depth = []

        def heard(runner, test, *rest, **more):
            depth.append(test)
            try:
                results = run(runner, test, *rest, **more)
            finally:
                depth.pop()
            if not depth and test.examples:
                name = "failed" if results.failed else "passed"
                brief = (
                    "%d of %d examples failed" % (results.failed, results.attempted) if results.failed else ""
                )
                record(
                    event="outcome", id="doctest of " + test.name, outcome=name, brief=brief, text="", part=""
                )
            return results

        setattr(doctest.DocTestRunner, "run", heard)
        try:
            return original(module, *arguments, **named)
        finally:
            setattr(doctest.DocTestRunner, "run", run)

    support.run_doctest = run_doctest


def main():
    """Put the listener in place and become ``python -m test``."""
    record = Record(sys.argv[1])
    record(event="begin", worker=WORKER, schema=SCHEMA, version=list(sys.version_info[:3]))
    if not (3, 8) <= sys.version_info[:2] <= (3, 15):
        record(event="end", unsupported="Python %d.%d" % sys.version_info[:2])
        return UNSUPPORTED_STATUS
    # whoever started this may ignore them (nohup, a job in the background), and tests send them
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    # as -m would have it
    sys.argv[1:2] = []
    sys.path[0] = os.getcwd()
    kinds = []
    for place in PLACES:
        try:
            kind = importlib.import_module(place).RegressionTestResult
            if kind not in kinds:
                kinds.append(kind)
        except (ImportError, AttributeError):
            pass
    if not kinds:
        record(event="end", unsupported="a suite without a class RegressionTestResult")
        return UNSUPPORTED_STATUS
    for kind in kinds:
        Listener(record).listen(kind)
    listen_to_doctests(importlib.import_module("test.support"), record)
    status: Any = 0
    try:
        runpy.run_module("test", run_name="__main__", alter_sys=True)
    except SystemExit as error:
        status = error.code
        raise
    finally:
        record(event="end", status=status if isinstance(status, int) else 1 if status else 0)
    return 0


if __name__ == "__main__":
    sys.exit(main())
