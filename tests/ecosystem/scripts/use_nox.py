"""nox: with virtualenv and venv, notifying, failing."""

import show

show.write(
    "noxfile.py",
    """
    import json
    import nox
    @nox.session(venv_backend="venv", venv_params=["--without-pip"])
    def with_venv(session):
        session.run("python", "-c", "import json, sys; print(json.__file__, sys.prefix)")
        session.notify("third")
    @nox.session(venv_backend="virtualenv")
    def with_virtualenv(session):
        session.install("click")
        session.run("python", "-c", "import click; print(click.__file__)")
    @nox.session(venv_backend="none")
    @nox.parametrize("n", [1, 2])
    def third(session, n):
        session.log(f"number {n} {session.posargs}")
        session.run("python", "--version")
    @nox.session(venv_backend="none", default=False)
    def broken(session):
        json.loads("[")
    @nox.session(venv_backend="none", default=False)
    def fails(session):
        session.run("python", "-c", "raise SystemExit(3)")
    """,
)
N = ["-m", "nox"]
show.python(*N, "--version")
show.python(*N, "--list")
show.python(*N, "-s", "with_venv", "with_virtualenv", "third", "--", "arg")
show.python(*N, "-s", "broken", status=None)
show.python(*N, "-s", "fails", status=1)
show.python(*N, "-s", "none_such", status=None)
show.python(*N, "-r", "-s", "with_venv", "--report", "r.json")
import nox

show.modules()
