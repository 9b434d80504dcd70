"""Pure: what a series of paired values says."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Spread", "ratios", "spread"]


@dataclass(frozen=True, slots=True)
class Spread:
    """The middle of a series and how far it spreads."""

    count: int
    median: float
    #: lower and upper quartile
    low: float
    high: float
    #: a 95 % interval of the median; None for fewer than six values, which cannot give one
    interval: tuple[float, float] | None


def spread(values: Sequence[float]) -> Spread:
    """Return median, quartiles and the interval of *values*, of which there is at least one.

    The interval is that of the sign test: order statistics, so nothing is assumed of the distribution
    (Conover, Practical Nonparametric Statistics, 3.2).
    """
    ordered = sorted(values)
    if len(ordered) == 1:
        return Spread(1, ordered[0], ordered[0], ordered[0], None)
    low, median, high = statistics.quantiles(ordered, n=4, method="inclusive")
    rank = _rank(len(ordered))
    interval = (ordered[rank - 1], ordered[-rank]) if rank else None
    return Spread(len(ordered), median, low, high, interval)


def _rank(count: int) -> int:
    """Return the highest rank from either end between which the median lies in 95 % of the cases; or 0."""
    below, rank = 0, 0
    for successes in range(count // 2 + 1):
        below += math.comb(count, successes)
        # below / 2**count is the chance of at most that many values under the median
        if below * 40 > 2**count:
            break
        rank = successes + 1
    return rank


def ratios(values: Sequence[float], base: Sequence[float]) -> tuple[float, ...]:
    """Return value by base, round by round; a round whose base is 0 says nothing and is left out."""
    return tuple(value / other for value, other in zip(values, base, strict=True) if other)
