"""Residual correlation of a scintillator's noise after decorrelation.

Frames of a static scene are simulated with three kernels, with read noise, and with a beam that fluctuates by 3 %. Some of
them are used to measure the kernel; from the others, the correlation of the noise of neighbouring pixels is determined,
summed over 9x9 pixels.
"""

from __future__ import annotations

import argparse

from analysis.radiographs.correlation import correlation_by_differences
from analysis.radiographs.kernel import decorrelated, kernel_of
from benchmarks._common import Claim, arguments_parser, report
from sims.radiographs import FlatPanel, moving_bed

PANELS = {
    "0.5 px": FlatPanel(0.5),
    "0.645 px": FlatPanel(0.645),
    "0.8 px": FlatPanel(0.8),
    "0.645 px, read noise": FlatPanel(0.645, read_noise=10.0),
    "0.645 px, 3 % swing": FlatPanel(0.645, drift=0.03),
}
CLAIMS = (
    Claim("residual_percent", "summed correlation that is left, the worst of all cases, %", within=(-5.0, 5.0)),
    Claim("correlation_percent", "the same before, 0.645 px, %"),
)


def main() -> None:
    """Measure and report."""
    arguments: argparse.Namespace = arguments_parser(__doc__).parse_args()
    number, side = (40, 128) if arguments.quick else (100, 256)
    scene = moving_bed((side, side), 1, 40, seed=arguments.seed).repeat(number, axis=0)
    before, after = {}, {}
    for name, panel in PANELS.items():
        found = correlation_by_differences(panel.frames(scene, 1000.0, arguments.seed))
        sharp = decorrelated(panel.frames(scene, 1000.0, arguments.seed + 1), kernel_of(found))
        before[name], after[name] = found.summed_percent, correlation_by_differences(sharp).summed_percent
    details = [f"{name}: {before[name]:.0f} % before, {after[name]:.1f} % after" for name in PANELS]
    figures = {"residual_percent": max(after.values(), key=abs), "correlation_percent": before["0.645 px"]}
    report(CLAIMS, figures, details, arguments.json)


if __name__ == "__main__":
    main()
