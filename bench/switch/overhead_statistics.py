# SPDX-License-Identifier: Apache-2.0

"""Medians and their confidence intervals."""

import math
import statistics


def median_interval(values):
    """Returns the median of 'values' and the bounds of its confidence
    interval of 95 %, which are two of the values: those between which the
    median of what the values are drawn from lies with that probability,
    whatever its distribution."""
    ordered = sorted(values)
    n = len(ordered)
    # Among n draws, the number below the true median is binomial (n, 1/2).
    below = 0
    probability = 0.5 ** n
    cumulative = probability
    while cumulative <= 0.025 and below < n // 2:
        below += 1
        probability *= (n - below + 1) / below
        cumulative += probability
    lowest = max(below - 1, 0)
    return (statistics.median(ordered), ordered[lowest],
            ordered[n - 1 - lowest])


def significant(value, digits=5):
    """For output: no more digits than mean something."""
    if not value or not math.isfinite(value):
        return value
    return round(value, digits - 1 - math.floor(math.log10(abs(value))))
