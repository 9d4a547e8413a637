"""How good images are against the object: every method, over objects, photons, compressions and noise draws.

Half-Gaussian masks and the noise of Manni et al. (2025), eq. 13. Objects are made by program or come with scikit-image; no
setting of any method was chosen on them. A line is added to DIRECTORY/results.csv for each reconstruction, and what is there
already is not done again, so that a run of hours can be stopped and taken up.
"""

from __future__ import annotations

import argparse
import csv
import math
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from analysis.ghost import reconstruct
from analysis.metrics import frc_resolution, psnr, ssim
from benchmarks._common import Claim, arguments_parser, report
from sims.samples import make_sample

METHODS = ("least_squares", "tv", "gidc", "inr", "n2i", "n2g")
LEADER = "n2g"
LOWEST_NOISE_TO_LEAD_AT = 1000.0
FIELDS = ("object", "size", "compression", "photons", "draw", "method", "psnr_db", "ssim", "resolution_px", "coverage", "cpu_s")
CLAIMS = (
    Claim("margin_db", "dB of PSNR by which n2g leads the best other method, mean over cells", at_least=1.5),
    Claim("cells", "share of cells up to 1000 photons in which n2g leads in SSIM and resolution", at_least=1.0),
    Claim("coverage", "share of true errors within the 90 % interval of n2g's spread"),
)
SEED = 5000  # far from the seeds used for choosing settings


@dataclass(frozen=True)
class Cell:
    """One object under one condition."""

    name: str
    size: int
    compression: float
    photons: float


def main() -> None:
    """Reconstruct, and report what all reconstructions in the directory say."""
    parser = arguments_parser(__doc__)
    parser.add_argument(
        "--directory", type=Path, default=Path("ghost_quality"), help="for results and figures (default: %(default)s)"
    )
    parser.add_argument("--draws", type=int, default=5, help="noise draws of each cell (default: %(default)s)")
    parser.add_argument("--objects", nargs="+", choices=OBJECTS, default=list(OBJECTS), help="objects to image (default: all)")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS), help="methods (default: all)")
    arguments = parser.parse_args()
    arguments.directory.mkdir(parents=True, exist_ok=True)
    file = arguments.directory / ("quick.csv" if arguments.quick else "results.csv")
    run(file, arguments)
    rows = read(file)
    draw_curves(rows, file.with_suffix(".png"))
    report(CLAIMS, figures_of(rows), table(rows), arguments.json)


def run(file: Path, arguments: argparse.Namespace) -> None:
    """Reconstruct whatever is not in the file yet."""
    done = {tuple(row[field] for field in FIELDS[:6]) for row in read(file)}
    for draw in range(1 if arguments.quick else arguments.draws):
        for cell in cells(arguments.objects, quick=arguments.quick):
            data = None
            for method in arguments.methods:
                key = (cell.name, str(cell.size), f"{cell.compression:g}", f"{cell.photons:g}", str(draw), method)
                if key in done:
                    continue
                data = data or measured(cell, arguments.seed + draw)
                append(file, (*key, *(f"{value:.5g}" for value in judged(*data, method))))


def cells(names: list[str], *, quick: bool) -> list[Cell]:
    """Return the paper's conditions: noise at 5x (its Fig. 3), 10x with moderate and 3x with high noise (Fig. 5, 6)."""
    if quick:
        return [Cell(name, 32, 3, 100) for name in names]
    conditions = [(5.0, 10.0**power) for power in range(5)] + [(5.0, 2.0), (10.0, 100.0), (3.0, 2.0)]
    return [Cell(name, 64, compression, photons) for compression, photons in conditions for name in names]


def measured(cell: Cell, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the object (H, W), half-Gaussian masks (M, H, W) and buckets (M,) in units of the object."""
    image = OBJECTS[cell.name](cell.size)
    random = np.random.default_rng((SEED, seed))
    masks = np.abs(random.normal(size=(round(image.size / cell.compression), *image.shape))).astype(np.float32)
    clean = masks.reshape(len(masks), -1).astype(np.float64) @ image.reshape(-1)
    return image, masks, random.poisson(cell.photons * clean) / cell.photons


def judged(image: np.ndarray, masks: np.ndarray, buckets: np.ndarray, method: str) -> tuple[float, ...]:
    """Return PSNR (dB), SSIM, resolution against the object (pixels), coverage of the 90 % interval, and CPU seconds."""
    started = time.process_time()
    result = reconstruct(masks, buckets, method)
    cpu_s = time.process_time() - started
    known = np.isfinite(result.spread)
    inside = np.abs(result.image - image)[known] <= 1.645 * result.spread[known]
    return (
        psnr(result.image, image),
        ssim(result.image, image),
        frc_resolution(result.image, image),
        float(inside.mean()) if known.any() else math.nan,
        cpu_s,
    )


def read(file: Path) -> list[dict[str, str]]:
    """Return the rows of the file, none if it isn't there."""
    if not file.exists():
        return []
    with file.open(newline="") as stream:
        return list(csv.DictReader(stream))


def append(file: Path, row: tuple[str, ...]) -> None:
    """Add a row, under the names of the fields if it is the first."""
    is_new = not file.exists()
    with file.open("a", newline="") as stream:
        writer = csv.writer(stream)
        if is_new:
            writer.writerow(FIELDS)
        writer.writerow(row)


Means = dict[tuple[str, float, float], dict[str, dict[str, float]]]


def means_of(rows: list[dict[str, str]]) -> Means:
    """Return the mean over draws of each quantity, by (object, compression, photons), by method."""
    collected: dict[tuple[str, float, float], dict[str, list[dict[str, float]]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        cell = row["object"], float(row["compression"]), float(row["photons"])
        collected[cell][row["method"]].append({field: float(row[field]) for field in FIELDS[6:]})
    return {
        cell: {
            method: {field: float(np.mean([values[field] for values in many])) for field in FIELDS[6:]}
            for method, many in methods.items()
        }
        for cell, methods in collected.items()
    }


def figures_of(rows: list[dict[str, str]]) -> dict[str, float]:
    """Return the figures of `CLAIMS`; NaN where nothing was measured."""
    margins, leads, covered = [], [], []
    for (_, _, photons), methods in means_of(rows).items():
        if LEADER not in methods:
            continue
        own, others = methods[LEADER], [values for method, values in methods.items() if method != LEADER]
        covered.append(own["coverage"])
        if not others:
            continue
        margins.append(own["psnr_db"] - max(values["psnr_db"] for values in others))
        if photons <= LOWEST_NOISE_TO_LEAD_AT:
            # an image that agrees with the object nowhere has no resolution: it is the worst
            finest = min(np.nan_to_num(values["resolution_px"], nan=np.inf) for values in others)
            leads.append(
                own["ssim"] >= max(values["ssim"] for values in others)
                and np.nan_to_num(own["resolution_px"], nan=np.inf) <= finest
            )
    return {
        "margin_db": float(np.mean(margins)) if margins else math.nan,
        "cells": float(np.mean(leads)) if leads else math.nan,
        "coverage": float(np.mean(covered)) if covered else math.nan,
    }


def table(rows: list[dict[str, str]]) -> list[str]:
    """Return lines with PSNR / SSIM / resolution / CPU seconds of every cell and method."""
    lines = [f"{'':<32}" + "".join(f"{method:>25}" for method in METHODS)]
    for (name, compression, photons), methods in sorted(means_of(rows).items()):
        line = f"{name:<14}{compression:>4g}x{photons:>8g} photons"
        for method in METHODS:
            values = methods.get(method)
            text = "-" if values is None else "{psnr_db:.1f}/{ssim:.2f}/{resolution_px:.1f}/{cpu_s:.0f}".format(**values)
            line += f"{text:>25}"
        lines.append(line)
    return lines


def draw_curves(rows: list[dict[str, str]], file: Path) -> None:
    """Draw PSNR, SSIM and resolution against photons at the compression measured most, means over objects and draws."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    means = means_of(rows)
    counts = [compression for _, compression, _ in means]
    if not counts:
        return
    usual = max(set(counts), key=counts.count)
    figure, axes = pyplot.subplots(1, 3, figsize=(13, 4), layout="constrained")
    for axis, field in zip(axes, ("psnr_db", "ssim", "resolution_px"), strict=True):
        for method in METHODS:
            points: dict[float, list[float]] = defaultdict(list)
            for (_, compression, photons), methods in means.items():
                if compression == usual and method in methods:
                    points[photons].append(methods[method][field])
            photons_of = sorted(points)
            axis.plot(photons_of, [np.mean(points[photons]) for photons in photons_of], "o-", label=method)
        axis.set(xscale="log", xlabel="photons per pixel and realization", ylabel=field)
    axes[0].legend()
    figure.suptitle(f"{usual:g}x fewer realizations than pixels")
    figure.savefig(file, dpi=120)
    pyplot.close(figure)


def _emitting(name: str, size: int) -> np.ndarray:
    """Return a simulated sample as something that emits where it absorbs, 0 to 1."""
    image = 1.0 - make_sample(name, (size, size), SEED).astype(np.float64)
    return image / image.max()


def _photograph(name: str, size: int) -> np.ndarray:
    """Return the middle of an image of scikit-image's, averaged down and scaled to 0..1."""
    import skimage.data
    from skimage.transform import resize

    picture = getattr(skimage.data, name)().astype(np.float64)
    side = min(picture.shape) // 2
    top, left = ((length - side) // 2 for length in picture.shape)
    image = resize(picture[top : top + side, left : left + side], (size, size), anti_aliasing=True)
    return (image - image.min()) / (image.max() - image.min())


OBJECTS = {
    "chromosomes": lambda size: _emitting("chromosomes", size),
    "letters": lambda size: make_sample("CAS", (size, size)).astype(np.float64),
    "wires": lambda size: _emitting("wires", size),
    "cell": lambda size: _photograph("cell", size),
    "texture": lambda size: _photograph("brick", size),
}


if __name__ == "__main__":
    main()
