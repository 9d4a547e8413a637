"""Slices of foam from 32 views: denoised radiographs, compared with denoised slices.

The sample is a cylinder of foam with Poisson noise. Noise2Self learns the radiographs, and FBP or SIRT follows; Noise2Inverse
learns slices by FBP or SIRT of every second view from those of the others, with a network of the same size (A. A. Hendriksen,
D. M. Pelt and K. J. Batenburg, IEEE Trans. Comput. Imaging 6, 1320 (2020)); total variation learns nothing. In the figure of
A. Graas and F. Lucka (2025), Noise2Self followed by SIRT is best.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from functools import cache

import numpy as np
import torch

from analysis.imaging.noisy_training import STEPS
from analysis.imaging.projector import ParallelBeam
from analysis.pairs.network import train as train_pairs
from analysis.radiographs.noise2self import train
from analysis.tomography.attenuation import attenuation
from analysis.tomography.fbp import fbp
from analysis.tomography.sirt import Sirt
from analysis.tomography.tv import TotalVariation, best_weight
from benchmarks._common import Claim, arguments_parser, report
from sims.foam import foam_cylinder

CLAIMS = (Claim("lead", "least squared error of the others over that of Noise2Self then SIRT", at_least=1.0),)
VIEWS = 32
PHOTONS = 500.0
_ITERATIONS = {"sirt": 200, "tv": 400}


def main() -> None:
    """Measure and report."""
    arguments: argparse.Namespace = arguments_parser(__doc__).parse_args()
    torch.set_num_threads(1)
    shape, bubbles, chosen, steps = ((40, 48), 20, 4, 20) if arguments.quick else ((64, 256), 300, 16, STEPS)
    body = foam_cylinder(shape, bubbles, arguments.seed)
    angles = np.arange(VIEWS) * 180.0 / VIEWS
    rng = np.random.default_rng((arguments.seed, 1))
    transmission = (rng.poisson(PHOTONS * np.exp(-body.line_integrals(angles))) / PHOTONS).astype(np.float32)
    rows = (np.arange(chosen) * 2 + 1) * shape[0] // (2 * chosen)
    truth = body.slices(rows)
    table, details = {}, []
    for name, made in methods(transmission, angles, rows, steps, arguments.seed).items():
        began = time.process_time()
        table[name] = float(np.mean((made() - truth) ** 2))
        details.append(f"{name}: squared error {table[name] * 1e6:.3f}e-6, {time.process_time() - began:.0f} s of the processor")
        print(f"  {details[-1]}", flush=True)
    best = min((name for name in table if name != "n2s_sirt"), key=lambda name: table[name])
    details.append(f"the best of the others: {best}; a slice of nothing has {np.mean(truth**2) * 1e6:.3f}e-6")
    figures = {"lead": table[best] / table["n2s_sirt"]}
    report(CLAIMS, figures, details, None)
    if arguments.json is not None:
        arguments.json.write_text(json.dumps({**figures, "mse_table": table}, indent=1) + "\n")


def methods(
    transmission: np.ndarray, angles: np.ndarray, rows: np.ndarray, steps: int, seed: int
) -> dict[str, Callable[[], np.ndarray]]:
    """The methods; each makes slices (Z, N, N) at some rows of transmissions (views, H, W)."""
    size = transmission.shape[2]
    centre = (size - 1) / 2

    def slices(method: str, images: np.ndarray, views: slice = slice(None)) -> np.ndarray:
        sinograms, known = attenuation(np.ascontiguousarray(images[views][:, rows].swapaxes(0, 1)))
        if method == "fbp":
            return fbp(sinograms, angles[views], centre, size)
        projector = ParallelBeam(size, angles[views], size, centre)
        solver: Sirt | TotalVariation
        if method == "tv":
            middle = len(rows) // 2
            weight = best_weight(projector, sinograms[middle], known[middle], seed, lower=0.0)
            solver = TotalVariation(projector, sinograms, known, weight, lower=0.0)
        else:
            solver = Sirt(projector, sinograms, known, lower=0.0)
        solver.iterate(_ITERATIONS[method])
        return solver.slices

    @cache
    def denoised() -> np.ndarray:
        network = train(transmission, seed, steps=steps)
        return np.stack([network(image) for image in transmission])

    def of_halves(method: str) -> np.ndarray:
        """Noise2Inverse with two splits: slices from one half are trained to predict those from the other half."""
        first, second = (slices(method, transmission, slice(start, None, 2)) for start in (0, 1))
        pairs = list(zip(first, second, strict=True))
        network = train_pairs(pairs, np.ones(first[0].shape, dtype=bool), seed, loss="mse", steps=steps)
        return np.stack([(network(one) + network(other)) / 2 for one, other in pairs])

    return {
        "fbp": lambda: slices("fbp", transmission),
        "sirt": lambda: slices("sirt", transmission),
        "tv": lambda: slices("tv", transmission),
        "n2s_fbp": lambda: slices("fbp", denoised()),
        "n2s_sirt": lambda: slices("sirt", denoised()),
        "fbp_n2i": lambda: of_halves("fbp"),
        "sirt_n2i": lambda: of_halves("sirt"),
    }


if __name__ == "__main__":
    main()
