"""What a run left in its folder, so that the next one takes up only what is missing."""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from zipstrap.destination import writing
from zipstrap.errors import UsageError

from .cases import CaseRun, FileRun, Outcome, Side

__all__ = ["Store", "locked"]

_SCHEMA = 1


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep *folder* for this process. Raises UsageError if another one is at work in it."""
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "lock"
        with path.open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise UsageError(
                    "another run is at work in this folder", file=folder, cure="wait for it, or name another"
                ) from error
            yield


@dataclasses.dataclass(frozen=True, slots=True)
class Store:
    """The runs of one target, a file for each test file and side; *keys* tell of what."""

    folder: Path
    keys: dict[Side, str]

    def log(self, side: Side, name: str, number: int) -> Path:
        """Return where the output of the run *number* (from 1) goes."""
        folder = self.folder / "logs" / side.value
        folder.mkdir(parents=True, exist_ok=True)
        return folder / f"{name}.{number}.log"

    def load(self, side: Side, name: str, timeout: float) -> tuple[FileRun, ...]:
        """Return the runs that are there and still count.

        Those of another tree do not; neither does one that took too long, if it may take longer now.
        """
        try:
            values = json.loads(self._path(side, name).read_bytes())
            if (values["schema"], values["key"]) != (_SCHEMA, self.keys[side]):
                return ()
            runs = [_from_json(run) for run in values["runs"]]
            if any(run.outcome is Outcome.TIMED_OUT for run in runs) and values["timeout"] < timeout:
                return ()
        except (OSError, ValueError, KeyError, TypeError):
            return ()
        return tuple(runs)

    def save(self, side: Side, name: str, runs: tuple[FileRun, ...], timeout: float) -> None:
        """Keep *runs*, wholly or not at all."""
        path = self._path(side, name)
        values = {
            "schema": _SCHEMA,
            "key": self.keys[side],
            "timeout": timeout,
            "runs": [_to_json(run) for run in runs],
        }
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            draft = path.with_suffix(".new")
            draft.write_text(json.dumps(values), encoding="utf-8")
            os.replace(draft, path)  # noqa: PTH105

    def seconds(self) -> dict[str, float]:
        """Return how long each test file took in any earlier run, of this tree or another."""
        found: dict[str, float] = {}
        for path in self.folder.glob("results/*/*.json"):
            with contextlib.suppress(OSError, ValueError, KeyError, IndexError, TypeError):
                run = json.loads(path.read_bytes())["runs"][0]
                found[run["name"]] = max(found.get(run["name"], 0.0), float(run["seconds"]))
        return found

    def _path(self, side: Side, name: str) -> Path:
        return self.folder / "results" / side.value / f"{name}.json"


def _to_json(run: FileRun) -> dict[str, Any]:
    return {
        "name": run.name,
        "side": run.side,
        "outcome": run.outcome,
        "brief": run.brief,
        "seconds": round(run.seconds, 2),
        "log": run.log,
        "cases": {
            name: [case.outcome, case.brief, case.text] if case.brief or case.text else [case.outcome]
            for name, case in run.cases.items()
        },
    }


def _from_json(values: dict[str, Any]) -> FileRun:
    return FileRun(
        values["name"],
        Side(values["side"]),
        Outcome(values["outcome"]),
        values["brief"],
        values["seconds"],
        values["log"],
        {name: CaseRun(Outcome(case[0]), *case[1:]) for name, case in values["cases"].items()},
    )
