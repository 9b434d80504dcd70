"""The outcome of the suite's runs, for people and for machines."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from .cases import CaseRun, Outcome, Pair, Side, Verdict

__all__ = ["SuiteReport", "TargetReport", "suite_to_json", "suite_to_junit", "suite_to_text"]

_SCHEMA = 1

#: missing cases of one file that the text names; JSON has them all
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class TargetReport:
    """The suite of one interpreter, from both sides."""

    name: str
    version: tuple[int, int]
    executable: str
    layout: str
    #: who ran the tests
    user: str
    #: where trees, logs and results are
    folder: Path
    #: full, smoke or named
    selection: str
    resources: tuple[str, ...]
    files: tuple[str, ...]
    #: the sum of the durations of each side's test files, in seconds
    seconds: Mapping[Side, float]
    pairs: tuple[Pair, ...]

    def of(self, verdict: Verdict) -> tuple[Pair, ...]:
        """Return the pairs of *verdict*."""
        return tuple(pair for pair in self.pairs if pair.verdict is verdict)

    def ran(self, side: Side) -> int:
        """Return how many cases ran on *side*, whatever became of them; test files do not count as cases."""
        return sum(
            not pair.is_file and any(run.outcome is not Outcome.NOT_RUN for run in _runs(pair, side))
            for pair in self.pairs
        )

    @property
    def lost(self) -> tuple[Pair, ...]:
        """What passes from the directory and does not pass, or does not run, from the archive."""
        return tuple(pair for pair in self.of(Verdict.DIFFERS) if pair.directory[0].outcome is Outcome.PASSED)

    @property
    def bad_on_both(self) -> tuple[Pair, ...]:
        """What fails on both sides alike, so that nothing is known of the archive there."""
        bad = (Outcome.FAILED, Outcome.ERROR, Outcome.UNEXPECTED, Outcome.CRASHED, Outcome.TIMED_OUT)
        return tuple(pair for pair in self.of(Verdict.SAME) if pair.directory[0].outcome in bad)

    @property
    def passed(self) -> bool:
        """Whether nothing differs that is not explained."""
        return not self.of(Verdict.DIFFERS)


@dataclass(frozen=True, slots=True)
class SuiteReport:
    """The suites of all interpreters that were asked for."""

    targets: tuple[TargetReport, ...]

    @property
    def passed(self) -> bool:
        """Whether nothing differs, in any of them, that is not explained."""
        return all(target.passed for target in self.targets)


def _runs(pair: Pair, side: Side) -> tuple[CaseRun, ...]:
    return pair.directory if side is Side.DIRECTORY else pair.archive


_COLUMNS = ("directory", "archive", "differ", "lost", "one side only", "explained", "unstable")


def _figures(target: TargetReport) -> tuple[int, ...]:
    differing = target.of(Verdict.DIFFERS)
    return (
        target.ran(Side.DIRECTORY),
        target.ran(Side.ARCHIVE),
        len(differing),
        len(target.lost),
        sum(pair.one_sided for pair in differing),
        len(target.of(Verdict.EXPLAINED)),
        len(target.of(Verdict.UNSTABLE)),
    )


def suite_to_text(report: SuiteReport, *, verbose: bool = False) -> str:
    """Return what differs, and a table of all interpreters; *verbose* names every missing case."""
    lines: list[str] = []
    for target in report.targets:
        lines += _target_lines(target, verbose=verbose)
    width = max((len(target.name) for target in report.targets), default=0)
    lines.append(f"{'':{width}}  " + "  ".join(_COLUMNS))
    for target in report.targets:
        cells = (f"{figure:{len(name)}}" for figure, name in zip(_figures(target), _COLUMNS, strict=True))
        lines.append(f"{target.name:{width}}  " + "  ".join(cells))
    lines.append("")
    lines.append("no unexplained difference" if report.passed else "there are unexplained differences")
    return "\n".join(lines) + "\n"


def _target_lines(target: TargetReport, *, verbose: bool) -> Iterator[str]:
    minutes = {side: target.seconds[side] / 60 for side in Side}
    yield (
        f"{target.name} ({target.executable}), layout {target.layout}, {target.selection}: "
        f"{len(target.files)} test files, run by {target.user}"
    )
    yield (
        f"  directory {minutes[Side.DIRECTORY]:.1f} min, archive {minutes[Side.ARCHIVE]:.1f} min "
        f"of test files; trees, logs and results in {target.folder}"
    )
    yield ""
    for verdict in (Verdict.DIFFERS, Verdict.UNSTABLE, Verdict.EXPLAINED):
        pairs = target.of(verdict)
        absent: Counter[str] = Counter()
        for pair in pairs:
            if pair.sometimes_absent and not pair.is_file:
                absent[pair.file] += 1
                if absent[pair.file] > _SHOWN and not verbose:
                    continue
            yield from _pair_lines(pair)
        for file, count in absent.items():
            if count > _SHOWN and not verbose:
                yield f"{verdict}: {file}: {count - _SHOWN} more cases did not run every time (-v names them)"
        if pairs:
            yield ""
    if target.bad_on_both:
        yield f"fails on both sides, so that it says nothing of the archive: {len(target.bad_on_both)}"
        for pair in target.bad_on_both:
            yield f"  {_called(pair)}: {pair.directory[0].outcome.value}: {pair.directory[0].brief}"
            if not _alike(pair):
                yield f"    from the archive for another reason: {pair.archive[0].brief}"
        yield ""


def _pair_lines(pair: Pair) -> Iterator[str]:
    yield f"{pair.verdict}: {_called(pair)}"
    for side, log in zip(Side, pair.logs, strict=True):
        runs = _runs(pair, side)
        brief = next((run.brief for run in runs if run.brief), "")
        yield f"  {side:9}  {_outcomes(runs)}{': ' + brief if brief else ''}"
        if log and pair.verdict is Verdict.DIFFERS and side is Side.ARCHIVE:
            yield f"  {'log':9}  {log}"
    if pair.reason:
        yield f"  {'because':9}  {pair.reason}"


#: What differs between two runs of the same: the tree, names of temporary files, addresses, numbers.
_PASSING = re.compile(r"\b(?:tree-[dz]|zs\w{8}|tmp\w{8}|0x[0-9a-fA-F]+|\d+)\b")


def _alike(pair: Pair) -> bool:
    """Tell whether the first line of what was raised is the same on both sides, but for what passes."""
    said = (_PASSING.sub("", runs[0].brief) for runs in (pair.directory, pair.archive))
    return len(set(said)) == 1


def _called(pair: Pair) -> str:
    return f"{pair.file} (the whole file)" if pair.is_file else pair.case


def _outcomes(runs: Sequence[CaseRun]) -> str:
    """Return one word if they agree, else each in its order."""
    words = [run.outcome.value for run in runs]
    return words[0] if len(set(words)) == 1 else ", ".join(words)


def suite_to_json(report: SuiteReport) -> dict[str, Any]:
    """Return the outcome as JSON-able values; pairs with the same outcome are counted only."""
    return {
        "schema_version": _SCHEMA,
        "passed": report.passed,
        "targets": [_target_to_json(target) for target in report.targets],
    }


def _target_to_json(target: TargetReport) -> dict[str, Any]:
    figures = dict(zip((name.replace(" ", "_") for name in _COLUMNS), _figures(target), strict=True))
    return {
        "target": target.name,
        "executable": target.executable,
        "layout": target.layout,
        "selection": target.selection,
        "user": target.user,
        "resources": list(target.resources),
        "folder": str(target.folder),
        "files": len(target.files),
        "seconds": {side.value: round(target.seconds[side], 1) for side in Side},
        "passed": target.passed,
        "figures": figures,
        "outcomes": {side.value: _counted(target, side) for side in Side},
        "pairs": [_pair_to_json(pair) for pair in target.pairs if pair.verdict is not Verdict.SAME],
        "bad_on_both": [_pair_to_json(pair) for pair in target.bad_on_both],
    }


def _counted(target: TargetReport, side: Side) -> dict[str, int]:
    counts = Counter(_runs(pair, side)[0].outcome.value for pair in target.pairs if not pair.is_file)
    return dict(sorted(counts.items()))


def _pair_to_json(pair: Pair) -> dict[str, Any]:
    return {
        "file": pair.file,
        "case": pair.case,
        "verdict": pair.verdict.value,
        "reason": pair.reason,
        **{
            side.value: {
                "outcomes": [run.outcome.value for run in _runs(pair, side)],
                "brief": next((run.brief for run in _runs(pair, side) if run.brief), ""),
                "text": next((run.text for run in _runs(pair, side) if run.text), ""),
                "log": log,
            }
            for side, log in zip(Side, pair.logs, strict=True)
        },
    }


def suite_to_junit(report: SuiteReport) -> str:
    """Return JUnit XML: a suite for each interpreter, a test case for each pair.

    A difference is a failure; an explained or an unstable one counts as skipped, with the reason. What is
    the same on both sides passes, whatever the outcome.
    """
    lines = ['<?xml version="1.0" encoding="utf-8"?>', "<testsuites>"]
    for target in report.targets:
        failures = len(target.of(Verdict.DIFFERS))
        skipped = len(target.of(Verdict.EXPLAINED)) + len(target.of(Verdict.UNSTABLE))
        lines.append(
            f"<testsuite name={_attribute(f'{target.name} {target.layout}')} "
            f'tests="{len(target.pairs)}" failures="{failures}" errors="0" skipped="{skipped}">'
        )
        lines += [_junit_case(pair) for pair in target.pairs]
        lines.append("</testsuite>")
    return "\n".join([*lines, "</testsuites>"]) + "\n"


def _junit_case(pair: Pair) -> str:
    start = f"<testcase classname={_attribute(pair.file)} name={_attribute(pair.case)}"
    if pair.verdict is Verdict.SAME:
        return f"{start}/>"
    said = "; ".join(f"{side.value}: {_outcomes(_runs(pair, side))}" for side in Side)
    if pair.verdict is not Verdict.DIFFERS:
        reason = f"{pair.verdict.value} ({pair.reason})" if pair.reason else pair.verdict.value
        return f"{start}><skipped message={_attribute(f'{reason}: {said}')}/></testcase>"
    text = next((run.text for run in (*pair.archive, *pair.directory) if run.text), "")
    return f"{start}><failure message={_attribute(said)}>{escape(_xml(text))}</failure></testcase>"


def _attribute(value: object) -> str:
    return quoteattr(_xml(str(value)))


#: What XML 1.0 cannot hold, in any notation.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def _xml(text: str) -> str:
    return _NOT_XML.sub(lambda found: f"\\x{ord(found[0]):02x}", text)
