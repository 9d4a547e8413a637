"""Training time of a network for a pair of 512x512, compared with BM3D of the same pair, and the speed of its application.

Training and BM3D are measured in processor time, the network on one core. Its application to pairs is measured on two cores
in wall time. BM3D's licence keeps it out of the package: pip install --no-deps bm3d bm4d.
"""

from __future__ import annotations

import argparse
import math
import time
from dataclasses import replace

import torch

from analysis.imaging.noisy_training import STEPS
from analysis.pairs.network_method import train_network
from benchmarks._common import Claim, arguments_parser, report
from benchmarks._frame_pairs import WITHOUT_BM3D, bm3d_of_sum, error_db, has_bm3d, noisy_pair, truth_of

CLAIMS = (
    Claim("train_ratio", "processor time of training and applying over that of BM3D", at_most=4.0),
    Claim("pairs_s", "pairs of 512x512 a second that a trained network denoises, 2 cores", at_least=10.0),
    Claim("margin_db", "dB above BM3D on that pair", at_least=0.0),
)
_PAIRS = 20


def main() -> None:
    """Measure and report."""
    parser = arguments_parser(__doc__)
    arguments: argparse.Namespace = parser.parse_args()
    side, steps = (128, 20) if arguments.quick else (512, STEPS)
    truth = truth_of("nuclei", side, 500)
    pair = noisy_pair(truth, arguments.seed)
    torch.set_num_threads(1)
    began = time.process_time()
    denoiser, _ = train_network([pair], arguments.seed, loss="pearson", steps=steps, still=True)
    denoised = denoiser.pair(pair)
    ours = time.process_time() - began
    theirs = margin = math.nan
    details = [f"training and applying: {ours:.1f} s of the processor, {denoiser.trained.steps} steps"]
    if has_bm3d():
        began = time.process_time()
        other = bm3d_of_sum(pair)
        theirs = time.process_time() - began
        margin = error_db(other, truth) - error_db(denoised, truth)
        details.append(f"BM3D: {theirs:.1f} s of the processor")
    else:
        details.append(WITHOUT_BM3D)
    torch.set_num_threads(2)
    denoiser = replace(denoiser, still=False)  # as in a series
    denoiser.pair(pair)
    seconds = []
    for _ in range(_PAIRS):
        began = time.perf_counter()
        denoiser.pair(pair)
        seconds.append(time.perf_counter() - began)
    seconds.sort()
    details.append(f"one pair: {seconds[0]:.3f} s at best, {seconds[_PAIRS // 2]:.3f} s in the middle")
    report(
        CLAIMS,
        {"train_ratio": ours / theirs, "pairs_s": 1 / seconds[_PAIRS // 2], "margin_db": margin},
        details,
        arguments.json,
    )


if __name__ == "__main__":
    main()
