"""Everything that is run before a change is merged: ``nox``; one part of it: ``nox -s targets -- 3.9``."""

from __future__ import annotations

import os
import re
from pathlib import Path

import nox

nox.needs_version = ">=2025.2.9"
nox.options.reuse_existing_virtualenvs = True
# a developer has some of the hosts; at least one is there, for nox itself runs in one
nox.options.error_on_missing_interpreters = False

PROJECT = nox.project.load_toml("pyproject.toml")
HOSTS = nox.project.python_versions(PROJECT)


def _install(session: nox.Session, *groups: str, project: bool = True) -> None:
    """Install the project and the dependency groups in one step."""
    wanted = nox.project.dependency_groups(PROJECT, *groups)
    session.install(*(["-e", "."] if project else []), *wanted)


def _pytest(session: nox.Session, arguments: list[str], *folders: str, dist: str = "loadfile") -> None:
    """Run pytest on *folders*, or on the files that *arguments* name."""
    named = any(Path(argument.partition("::")[0]).exists() for argument in arguments)
    # loadfile: the tests of one file share what was staged for an interpreter
    session.run("pytest", "-n", "auto", "--dist", dist, *arguments, *(() if named else folders))


@nox.session
def lint(session: nox.Session) -> None:
    """Look for slips and for another formatting than ruff's."""
    _install(session, "lint", project=False)
    session.run("ruff", "check")
    session.run("ruff", "format", "--check", "--diff")


@nox.session
def typing(session: nox.Session) -> None:
    """Check the annotations."""
    _install(session, "typing")
    session.run("mypy", *session.posargs)


@nox.session(python=HOSTS)
def tests(session: nox.Session) -> None:
    """Run the unit and contract tests in every host that is here."""
    _install(session, "test")
    _pytest(session, session.posargs, "tests/unit", "tests/contract", "tests/ecosystem", "tests/fuzz")


@nox.session
def targets(session: nox.Session) -> None:
    """Run the tests that need a target, in all found or in those named: 3.13, 3.13t, 3.11-debian."""
    _install(session, "test", "bills")
    arguments = []
    for argument in session.posargs:
        is_name = re.fullmatch(r"3\.\d+[td]*(-debian)?", argument)
        arguments += ["--target", argument] if is_name else [argument]
    _pytest(session, arguments, "tests/target", "tests/durability", "tests/storm")


@nox.session(default=False)
@nox.parametrize("version", [f"3.{minor}" for minor in range(8, 16)])
def target(session: nox.Session, version: str) -> None:
    """Run the tests that need a target in one of them, by itself."""
    _install(session, "test", "bills")
    session.run("pytest", "--target", version, *session.posargs, "tests/target")


@nox.session(default=False)
def fuzz(session: nox.Session) -> None:
    """Compare the reader with others on archives it accepts, and fuzz it; arguments as of run.py."""
    _install(session, "test", "fuzz")
    session.run("python", "tests/fuzz/run.py", *session.posargs)


@nox.session(default=False)
def tamper(session: nox.Session) -> None:
    """Flip every byte of what is small in a tree, and 2,000 bits anywhere: verify --expect finds all."""
    _install(session, "test")
    session.env["ZIPSTRAP_TEST_TAMPERING"] = "1"
    session.run("pytest", "-s", *session.posargs, "tests/target/test_integrity.py")


@nox.session(default=False)
def hijack(session: nox.Session) -> None:
    """Try every way to put foreign code into a start, on all interpreters found; arguments as of run.py."""
    _install(session, "test")
    session.run("python", "tests/hijack/run.py", *session.posargs)


@nox.session(default=False)
def storm(session: nox.Session) -> None:
    """Start an interpreter 1000 times while its prefix is upgraded, and install 200 times eight at once."""
    _install(session, "test")
    session.env["ZIPSTRAP_TEST_WHOLE_STORM"] = "1"
    session.run("pytest", "-s", *session.posargs, "tests/storm")


@nox.session(default=False)
def bundles(session: nox.Session) -> None:
    """Bundle requests, flask, rich, click and numpy for 3.8, 3.11, 3.13 and 3.15, and use them in trees."""
    _install(session, "test")
    session.env["ZIPSTRAP_TEST_ALL_BUNDLES"] = "1"
    session.run("pytest", *session.posargs, "tests/target/test_bundle_packages.py")


@nox.session(default=False)
def bytecode(session: nox.Session) -> None:
    """Compare the bytecode of whole libraries with that of a plain compile, under other seeds and orders."""
    _install(session, "test")
    session.env["ZIPSTRAP_TEST_WHOLE_LIBRARY"] = "1"
    _pytest(session, session.posargs, "tests/target/test_compile.py")


@nox.session(default=False)
def durability(session: nox.Session) -> None:
    """Let each verb that changes an installation fail at every system call, not at a sample; print counts.

    A run that is ended goes on where it was: what was tried is kept in the session's folder.
    """
    _install(session, "test")
    session.env["ZIPSTRAP_TEST_WHOLE_SWEEP"] = "1"
    session.env.setdefault("ZIPSTRAP_TEST_SWEEP_RESULTS", str(Path(session.virtualenv.location) / "sweeps"))
    _pytest(session, list(session.posargs), "tests/durability", dist="worksteal")


@nox.session(default=False)
def ecosystem(session: nox.Session) -> None:
    """Use well-known packages from both kinds of tree; compare what they print; arguments as of run.py."""
    _install(session)
    arguments = list(session.posargs)
    if all(argument.startswith("-") for argument in arguments[:1]):
        given = os.environ.get("ZIPSTRAP_TEST_PYTHONS", "").split(os.pathsep)
        newer = [path for path in given if re.fullmatch(r"python3\.1[45]", Path(path).name)]
        arguments = ["3.9", "3.11", "3.13", *newer, *arguments]
    session.run("python", "tests/ecosystem/run.py", *arguments)


@nox.session(default=False)
def trace(session: nox.Session) -> None:
    """Trace click's tests, and run them in the tree that the trace makes; arguments as of trace_suite.py."""
    _install(session)
    session.run("python", "tests/ecosystem/trace_suite.py", *(session.posargs or ["3.8", "3.11", "3.13"]))


@nox.session(default=False)
def extensions(session: nox.Session) -> None:
    """Import every extension module from an archive in a fresh process, and numpy from its wheel."""
    _install(session, "test")
    session.env["ZIPSTRAP_TEST_ALL_EXTENSIONS"] = "1"
    session.run("pytest", "-s", *session.posargs, "tests/target/test_extensions.py")


@nox.session(default=False)
def examples(session: nox.Session) -> None:
    """Try the examples for packagers: a Debian package in a throw-away Debian (as root), a target folder."""
    _install(session)
    python = session.posargs[0] if session.posargs else "python3.13"
    session.run("python", "examples/buildroot/try.py", python)
    session.run("python", "examples/debian/try.py", python, *session.posargs[1:])


@nox.session(default=False)
def suite(session: nox.Session) -> None:
    """Compare directory and archive by CPython's own suite: ``nox -s suite -- 3.13 --smoke``."""
    _install(session)
    session.run("zipstrap", "test", *session.posargs)


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation; a broken link is an error."""
    _install(session, "docs", project=False)
    session.run("mkdocs", "build", "--strict", *session.posargs)


@nox.session(default=False)
def bench(session: nox.Session) -> None:
    """Run the benchmarks, or those named; each prints its own figures."""
    _install(session, "test")
    scripts = session.posargs or sorted(str(path) for path in Path("benchmarks").glob("bench_*.py"))
    if not scripts:
        session.error("benchmarks/ holds no bench_*.py")
    for script in scripts:
        session.run("python", script)


@nox.session(default=False)
def changelog(session: nox.Session) -> None:
    """Show the next release's changelog; with ``-- --yes``, write it and remove the fragments."""
    _install(session, "release", project=False)
    version = PROJECT["project"]["version"]
    session.run("towncrier", "build", "--version", version, *(session.posargs or ["--draft"]))


@nox.session(default=False)
def build(session: nox.Session) -> None:
    """Build the source distribution and the wheel, into dist/."""
    _install(session, "release", project=False)
    session.run("python", "-m", "build", *session.posargs)
