"""The reliability of images: intervals compared with true errors, and the methods' results for data without an object.

Three questions, on objects on which no constant was chosen:

- Does the interval image +- 1.645 spread cover 90 % of the true errors of n2g? Objects, masks and noise as in
  `ghost_quality`, 1 to 10^4 photons.
- What does each method show if the buckets are shuffled against their masks? For methods that regularise, the figure is the
contrast (standard deviation over the pixels) of the image, over that of the object; 0 is a flat image. Linear methods pass
the noise on, so that their images are not flat; they must be nothing but noise. Their figure is the correlation over the
pixels of two images from separate halves of the shuffled data, 0 if these have no structure in common.
- Is the quoted loss of an image better than that of a flat image although there is nothing to predict? It would be if it
included data that were used to choose a weight or the number of steps.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from analysis.ghost import METHODS, reconstruct
from benchmarks._common import Claim, arguments_parser, report
from benchmarks.ghost_quality import OBJECTS, Cell, measured

CLAIMS = (
    Claim("coverage", "share of true errors of n2g within its 90 % interval, mean over all", within=(0.85, 0.95)),
    Claim("coverage_least", "the same at the photon level where it is least"),
    Claim("coverage_most", "the same at the photon level where it is most"),
    Claim("null_contrast", "contrast from buckets shuffled against their masks, worst method", below=0.2),
    Claim("null_loss", "loss quoted for shuffled buckets, over that of a flat image, lowest method", at_least=0.9),
)
COVERED = ("n2g", "tv")
LINEAR = ("correlation", "differential", "normalised", "least_squares")
OPTIONS_IF_QUICK = {"gidc": {"steps": 20}, "inr": {"steps": 10}, "n2i": {"steps": 20}, "n2g": {"steps": 20}}
LEVELS = np.array([0.5, 0.683, 0.8, 0.9, 0.95, 0.99])
"""Nominal probabilities of intervals."""


@dataclass(frozen=True, eq=False)
class Null:
    """The result of a method for one shuffled scan.

    Attributes
    ----------
    image : (H, W)
    contrast : float
        Standard deviation of the image over the object's; for linear methods, the correlation of two images from halves of
        the scan.
    loss : float
        The quoted loss over that of the best-fitting flat image.
    """

    image: np.ndarray
    contrast: float
    loss: float


def main() -> None:
    """Measure, draw and report."""
    parser = arguments_parser(__doc__)
    parser.add_argument("--directory", type=Path, default=Path("trust"), help="for the figure (default: %(default)s)")
    arguments = parser.parse_args()
    arguments.directory.mkdir(parents=True, exist_ok=True)
    covered = coverages(arguments)
    nulls = {method: null_scans(method, arguments) for method in METHODS}
    draw(covered, nulls, arguments.directory / "trust.png")
    report(CLAIMS, figures_of(covered, nulls), details(covered, nulls), arguments.json)


def coverages(arguments: argparse.Namespace) -> dict[str, dict[float, np.ndarray]]:
    """Return the fraction of true errors within the intervals of each of `LEVELS`, (runs, levels), by method and photons."""
    from scipy.stats import norm

    factors = norm.ppf(0.5 + LEVELS / 2)
    found: dict[str, dict[float, list[np.ndarray]]] = {method: defaultdict(list) for method in COVERED}
    for cell in cells(quick=arguments.quick):
        image, masks, buckets = measured(cell, 100 + arguments.seed)
        for method in COVERED:
            result = reconstruct(masks, buckets, method, **options(method, quick=arguments.quick))
            ratio = np.abs(result.image - image) / np.maximum(result.spread, 1e-30)
            found[method][cell.photons].append((ratio[..., None] <= factors).mean(axis=(0, 1)))
    return {method: {photons: np.array(runs) for photons, runs in many.items()} for method, many in found.items()}


def cells(*, quick: bool) -> list[Cell]:
    """Return the conditions under which the intervals are checked."""
    if quick:
        return [Cell(name, 24, 3.0, photons) for photons in (2.0, 100.0) for name in ("chromosomes", "letters")]
    conditions = [(32, 5.0, 10.0**power) for power in range(5)] + [(32, 3.0, 2.0), (32, 10.0, 100.0)]
    conditions += [(64, 5.0, 2.0), (64, 5.0, 100.0)]
    return [Cell(name, size, compression, photons) for size, compression, photons in conditions for name in OBJECTS]


def options(method: str, *, quick: bool) -> dict[str, int]:
    """Return the options that a method is given beyond its defaults."""
    return OPTIONS_IF_QUICK.get(method, {}) if quick else {}


def null_scans(method: str, arguments: argparse.Namespace) -> list[Null]:
    """Return the results of a method for shuffled buckets, over noise levels and shuffles."""
    size, shuffles = (16, 1) if arguments.quick else (32, 4)
    told = options(method, quick=arguments.quick)
    found = []
    for photons in (2.0, 100.0, 10000.0):
        image, masks, buckets = measured(Cell("chromosomes", size, 3.0, photons), 200 + arguments.seed)
        for number in range(shuffles):
            shuffled = np.random.default_rng((arguments.seed, number)).permutation(buckets)
            result = reconstruct(masks, shuffled, method, **told)
            if method in LINEAR:
                halves = [reconstruct(masks[half::2], shuffled[half::2], method, **told).image for half in (0, 1)]
                contrast = abs(float(np.corrcoef(halves[0].ravel(), halves[1].ravel())[0, 1]))
            else:
                contrast = float(result.image.std() / image.std())
            found.append(Null(result.image, contrast, float(np.mean(result.heldout_loss)) / flat_loss(masks, shuffled)))
    return found


def flat_loss(masks: np.ndarray, buckets: np.ndarray) -> float:
    """Return the squared error of the best-fitting flat image, over the variance, for masks (M, H, W) and buckets (M,)."""
    sums = masks.sum(axis=(1, 2), dtype=np.float64)
    return float(np.var(buckets - (buckets @ sums) / (sums @ sums) * sums) / np.var(buckets))


def contrast_of(nulls: list[Null]) -> float:
    """Return the mean contrast."""
    return float(np.mean([null.contrast for null in nulls]))


def loss_of(nulls: list[Null]) -> float:
    """Return the mean quoted loss; NaN for a method that quotes none for so few realizations."""
    return float(np.mean([null.loss for null in nulls]))


def figures_of(covered: dict[str, dict[float, np.ndarray]], nulls: dict[str, list[Null]]) -> dict[str, float]:
    """Return the figures of `CLAIMS`."""
    nominal = list(LEVELS).index(0.9)
    by_photons = [float(runs[:, nominal].mean()) for runs in covered["n2g"].values()]
    return {
        "coverage": float(np.concatenate([runs[:, nominal] for runs in covered["n2g"].values()]).mean()),
        "coverage_least": min(by_photons),
        "coverage_most": max(by_photons),
        "null_contrast": max(contrast_of(many) for many in nulls.values()),
        "null_loss": float(np.nanmin([loss_of(many) for many in nulls.values()])),
    }


def details(covered: dict[str, dict[float, np.ndarray]], nulls: dict[str, list[Null]]) -> list[str]:
    """Return lines with the coverage by photons, and with contrast and loss by method."""
    nominal = list(LEVELS).index(0.9)
    lines = [f"{'errors within the 90 % interval':<36}{'mean':>8}{'least':>8}{'most':>8}"]
    for method, by_photons in covered.items():
        for photons, runs in sorted(by_photons.items()):
            shares = runs[:, nominal]
            label = f"{method}, {photons:g} photons"
            lines.append(f"{label:<36}{shares.mean():>8.3f}{shares.min():>8.3f}{shares.max():>8.3f}")
    lines.append(f"{'shuffled buckets':<36}{'contrast':>8}{'loss':>8}")
    for method, many in nulls.items():
        lines.append(f"{method:<36}{contrast_of(many):>8.3f}{loss_of(many):>8.3f}")
    return lines


def draw(covered: dict[str, dict[float, np.ndarray]], nulls: dict[str, list[Null]], file: Path) -> None:
    """Draw coverage against nominal probability by photons, and an image of each method from shuffled buckets."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure = pyplot.figure(figsize=(13, 7.5), layout="constrained")
    grid = figure.add_gridspec(2, 1, height_ratios=(1.7, 1))
    above, below = grid[0].subgridspec(1, len(COVERED)), grid[1].subgridspec(1, len(nulls))
    for index, (method, by_photons) in enumerate(covered.items()):
        axis = figure.add_subplot(above[index])
        axis.fill_between(LEVELS, LEVELS - 0.05, np.minimum(LEVELS + 0.05, 1), color="0.9", label="nominal ± 0.05")
        for photons, runs in sorted(by_photons.items()):
            axis.plot(LEVELS, runs.mean(axis=0), "o-", label=f"{photons:g} photons")
        axis.set(title=method, xlabel="nominal probability of the interval", ylabel="share of errors within it", ylim=(0, 1.02))
        axis.legend(fontsize=8)
    object_image = OBJECTS["chromosomes"](32)
    for index, (method, many) in enumerate(nulls.items()):
        axis = figure.add_subplot(below[index])
        middle = many[len(many) // 2].image
        axis.imshow(middle, cmap="gray", vmin=object_image.min(), vmax=object_image.max())
        axis.set_title(f"{method}\n{contrast_of(many):.2f}", fontsize=9)
        axis.set_axis_off()
    figure.supxlabel("images from shuffled buckets on the object's grey scale, and their contrast", fontsize=10)
    figure.savefig(file, dpi=110)
    pyplot.close(figure)


if __name__ == "__main__":
    main()
