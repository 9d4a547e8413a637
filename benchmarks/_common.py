"""The common parts of all benchmarks: the command line, and a report that compares the figures with their targets."""

from __future__ import annotations

import argparse
import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

SCAN_SPEED = 10.0
"""Speed of the simulated beamline: about 25 realizations/s, where a real one would make 2 or 3."""


@dataclass(frozen=True)
class Claim:
    """The target of one figure.

    Parameters
    ----------
    key : str
        The figure's key in the JSON file.
    meaning : str
        What it measures, with the unit.
    below, at_most, at_least, exactly : float, optional
    within : (float, float), optional
        Lowest and highest value allowed. At most one of these limits is given.
    """

    key: str
    meaning: str
    below: float | None = None
    at_most: float | None = None
    at_least: float | None = None
    exactly: float | None = None
    within: tuple[float, float] | None = None

    @property
    def target(self) -> str:
        """The limit, in words."""
        limits = {"below": self.below, "at most": self.at_most, "at least": self.at_least, "": self.exactly}
        for words, limit in limits.items():
            if limit is not None:
                return f"{words} {limit:g}".strip()
        return "" if self.within is None else f"{self.within[0]:g} to {self.within[1]:g}"

    def holds(self, value: float) -> bool:
        """Whether a figure meets the target; NaN never does."""
        if self.below is not None:
            return value < self.below
        if self.at_most is not None:
            return value <= self.at_most
        if self.at_least is not None:
            return value >= self.at_least
        if self.within is not None:
            return self.within[0] <= value <= self.within[1]
        return self.exactly is None or value == self.exactly


def arguments_parser(description: str) -> argparse.ArgumentParser:
    """The options common to all benchmarks."""
    parser = argparse.ArgumentParser(
        description=description.splitlines()[0],
        epilog="\n".join(description.splitlines()[2:]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to this file")
    parser.add_argument("--quick", action="store_true", help="less data: tests that it works, not how fast it is")
    parser.add_argument("--seed", type=int, default=0, help="seed of all random numbers (default: %(default)s)")
    return parser


def add_speed(parser: argparse.ArgumentParser) -> None:
    """Add an option for the speed of a simulated scan."""
    parser.add_argument(
        "--speed",
        type=float,
        default=SCAN_SPEED,
        help="speed of moves and exposures relative to reality (default: %(default)g; 1000: maximum speed)",
    )


def report(claims: Sequence[Claim], figures: Mapping[str, float], details: Sequence[str], file: Path | None) -> None:
    """Print the figures and their limits, and write the figures to a file.

    Parameters
    ----------
    claims : sequence of Claim
        In the order in which they are printed; the file holds exactly their keys.
    figures : mapping
        Key to value.
    details : sequence of str
        Lines that explain the figures.
    file : Path, optional
        JSON file to write.
    """
    for line in details:
        print(f"  {line}")
    widths = [max(map(len, column)) for column in zip(*((claim.key, claim.meaning) for claim in claims), strict=True)]
    for claim in claims:
        value = figures[claim.key]
        verdict = f"{claim.target}: {'reached' if claim.holds(value) else 'MISSED'}" if claim.target else ""
        print(f"{claim.key:<{widths[0]}}  {value:>10.4g}  {claim.meaning:<{widths[1]}}  {verdict}".rstrip())
    print(f"load of the machine at the end {os.getloadavg()[0]:.1f}, with {os.cpu_count()} cores")
    if file is not None:
        file.write_text(json.dumps({claim.key: figures[claim.key] for claim in claims}, indent=1) + "\n")


def percentile(values: Sequence[float], fraction: float) -> float:
    """The smallest value that this fraction of all values does not exceed; NaN if there are none."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(fraction * len(ordered)) - 1)] if ordered else math.nan
