"""The results of `ghost_quality`: a file with one line per reconstruction, its means and the figures derived from them."""

from __future__ import annotations

import csv
import fcntl
import math
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

METHODS = ("least_squares", "tv", "gidc", "inr", "n2i", "n2g")
LEADER = "n2g"
LOWEST_NOISE_TO_LEAD_AT = 1000.0
KEYS = ("object", "size", "compression", "photons", "draw", "method")
QUANTITIES = ("psnr_db", "ssim", "resolution_px", "coverage", "cpu_s")

Row = dict[str, str]
Condition = tuple[str, int, float, float]
"""Object, pixels along an edge, compression, photons."""


@dataclass(frozen=True)
class Summary:
    """Mean of one quantity over noise draws, its standard error (NaN for a single draw) and the number of draws."""

    mean: float
    error: float
    draws: int


Summaries = dict[Condition, dict[str, dict[str, Summary]]]
"""By condition, by method, by quantity."""


def read(file: Path) -> list[Row]:
    """Return the rows of the file, none if it does not exist."""
    if not file.exists():
        return []
    with file.open(newline="") as stream:
        return list(csv.DictReader(stream))


def append(file: Path, key: tuple[str, ...], values: tuple[float, ...]) -> None:
    """Add a row, and the names of the columns if it is the first; safe with several processes."""
    with file.open("a", newline="") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        writer = csv.writer(stream)
        if stream.seek(0, 2) == 0:
            writer.writerow((*KEYS, *QUANTITIES))
        writer.writerow((*key, *(f"{value:.5g}" for value in values)))


@contextmanager
def claimed(file: Path) -> Iterator[bool]:
    """Lock `file` while the body runs; False if another process holds it. The lock ends with the process."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def summaries(rows: list[Row]) -> Summaries:
    """Return mean, error and number of draws of each quantity."""
    collected: dict[tuple[Condition, str, str], list[float]] = defaultdict(list)
    for row in rows:
        condition = row["object"], int(row["size"]), float(row["compression"]), float(row["photons"])
        for quantity in QUANTITIES:
            value = float(row[quantity])
            # an image that nowhere agrees with the object resolves nothing finer than itself
            worst = quantity == "resolution_px" and math.isnan(value)
            collected[condition, row["method"], quantity].append(float(row["size"]) if worst else value)
    found: Summaries = defaultdict(lambda: defaultdict(dict))
    for (condition, method, quantity), values in collected.items():
        error = float(np.std(values, ddof=1) / len(values) ** 0.5) if len(values) > 1 else math.nan
        found[condition][method][quantity] = Summary(float(np.mean(values)), error, len(values))
    return found


def figures_of(found: Summaries) -> dict[str, float]:
    """Return the figures that `ghost_quality` claims; NaN if nothing was measured."""
    margins, covered = [], []
    cells, by_photons = [], defaultdict(list)
    for (_, _, _, photons), methods in found.items():
        if LEADER not in methods:
            continue
        own, others = methods[LEADER], [values for method, values in methods.items() if method != LEADER]
        covered.append(own["coverage"].mean)
        if not others:
            continue
        margins.append(own["psnr_db"].mean - max(values["psnr_db"].mean for values in others))
        if photons <= LOWEST_NOISE_TO_LEAD_AT:
            cells.append(_leads(own, others))
            by_photons[photons].append(methods)
    return {
        "margin_db": _mean(margins),
        "cells": _mean(cells),
        "photons_led": _mean([_leads(*_over_objects(group)) for group in by_photons.values()]),
        "coverage": _mean(covered),
    }


def table(found: Summaries) -> list[str]:
    """Return lines with PSNR / SSIM / resolution / CPU seconds of every condition and method, and the number of draws."""
    lines = [f"{'':<38}{'draws':>6}" + "".join(f"{method:>24}" for method in METHODS)]
    for (name, size, compression, photons), methods in sorted(found.items()):
        draws = {values["psnr_db"].draws for values in methods.values()}
        some = f"{min(draws)}" if len(draws) == 1 else f"{min(draws)}-{max(draws)}"
        line = f"{name:<13}{size:>4}px{compression:>4g}x{photons:>7g} photons{some:>6}"
        for method in METHODS:
            values = methods.get(method)
            shown = None if values is None else {quantity: values[quantity].mean for quantity in QUANTITIES}
            line += f"{'-' if shown is None else '{psnr_db:.1f}/{ssim:.2f}/{resolution_px:.1f}/{cpu_s:.0f}'.format(**shown):>24}"
        lines.append(line)
    return lines


def _leads(own: dict[str, Summary], others: list[dict[str, Summary]]) -> bool:
    """Return whether the leader is first, or equal to the first, in SSIM and in resolution."""
    highest = max(values["ssim"].mean for values in others)
    finest = min(values["resolution_px"].mean for values in others)
    return own["ssim"].mean >= highest and own["resolution_px"].mean <= finest


def _over_objects(group: list[dict[str, dict[str, Summary]]]) -> tuple[dict[str, Summary], list[dict[str, Summary]]]:
    """Return the means over the conditions of a group, for the leader and for each other method measured in all of them."""

    def mean_of(method: str) -> dict[str, Summary]:
        return {
            quantity: Summary(_mean([methods[method][quantity].mean for methods in group]), math.nan, len(group))
            for quantity in ("ssim", "resolution_px")
        }

    others = [method for method in METHODS if method != LEADER and all(method in methods for methods in group)]
    return mean_of(LEADER), [mean_of(method) for method in others]


def _mean(values: list[float] | list[bool]) -> float:
    return float(np.mean(values)) if values else math.nan
