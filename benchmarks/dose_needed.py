"""The dose that ghost imaging needs for an image as good as that of a pencil beam, as in Fig. 4 of Manni et al. (2025).

Chromosomes, half-Gaussian masks, five times fewer realizations than pixels, Poisson noise (eq. 13). For the image of each method
and number of photons, the pencil beam's photons a pixel are sought that give the same PSNR, and the same SSIM. Doses are incident
photons on a pixel: in all exposures (total), and on the brightest pixel of one (peak). Above 1 the pencil beam needs less. As in
Fig. 4c, the dose at which another method would be as good as n2g is interpolated between its own. The figures are for up to ten
photons on a pixel in an exposure: with more, missing realizations limit the image, not photons.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from analysis.ghost import reconstruct
from analysis.metrics import psnr, ssim
from benchmarks._common import Claim, arguments_parser, report
from benchmarks.ghost_quality import OBJECTS

METHODS = ("least_squares", "tv", "gidc", "inr", "n2g")
PHOTONS = (1.0, 10.0, 100.0, 1000.0)
COMPRESSION = 5.0
LOW_LIGHT = 10.0
BEAM_PHOTONS = 10.0 ** np.arange(-2.0, 6.1, 0.1)
"""Of the pencil beam, on a pixel."""

CLAIMS = (
    Claim("total_ratio", "total dose of n2g over the pencil beam's for the same PSNR, geometric mean"),
    Claim("peak_ratio", "peak dose of n2g over the pencil beam's for the same PSNR, geometric mean", below=1.0),
    Claim("other_psnr", "dose that the best other method needs for the PSNR of n2g over n2g's, geometric mean", at_least=1.5),
    Claim("other_ssim", "the same for the SSIM of n2g", at_least=1.5),
)

Ratios = dict[str, dict[float, dict[str, float]]]
"""By method, by photons: dose over the pencil beam's, by "psnr_total", "psnr_peak", "ssim_total" and "ssim_peak"; and the
qualities themselves, by "psnr" and "ssim".
"""


def main() -> None:
    """Measure, draw and report."""
    parser = arguments_parser(__doc__)
    parser.add_argument("--directory", type=Path, default=Path("dose_needed"), help="for the picture (default: %(default)s)")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS), help="methods (default: all)")
    arguments = parser.parse_args()
    arguments.directory.mkdir(parents=True, exist_ok=True)
    ratios = measured(arguments)
    draw(arguments.directory / "fig4.png", ratios)
    report(CLAIMS, figures_of(ratios), lines(ratios), arguments.json)


def measured(arguments: argparse.Namespace) -> Ratios:
    """Reconstruct with every method and number of photons."""
    image = OBJECTS["chromosomes"](24 if arguments.quick else 64)
    rng = np.random.default_rng((arguments.seed, 7))
    masks = np.abs(rng.normal(size=(round(image.size / COMPRESSION), *image.shape))).astype(np.float32)
    clean = np.tensordot(masks.astype(np.float64), image, 2)
    beam = [image_of_beam(image, photons, rng) for photons in BEAM_PHOTONS]
    levels = {"psnr": [psnr(one, image) for one in beam], "ssim": [ssim(one, image) for one in beam]}
    ratios: Ratios = {}
    for method in arguments.methods:
        few = {"steps": 60} if arguments.quick and method == "n2g" else {}
        for photons in PHOTONS[1:2] if arguments.quick else PHOTONS:
            buckets = rng.poisson(photons * clean) / photons
            made = reconstruct(masks, buckets, method, seed=arguments.seed, **few).image
            doses = {
                "total": photons * float(masks.sum(axis=0, dtype=np.float64).mean()),
                "peak": photons * float(masks.max(axis=(1, 2)).mean()),
            }
            reached = {"psnr": psnr(made, image), "ssim": ssim(made, image)}
            found = {name: photons_for(reached[name], BEAM_PHOTONS, levels[name]) for name in levels}
            ratios.setdefault(method, {})[photons] = {
                **reached,
                **{f"{name}_{kind}": dose / found[name] for name in levels for kind, dose in doses.items()},
            }
            print(f"  {method}, {photons:g} photons: {reached['psnr']:.2f} dB, {reached['ssim']:.3f}", flush=True)
    return ratios


def image_of_beam(image: np.ndarray, photons: float, rng: np.random.Generator) -> np.ndarray:
    """What a pencil beam makes of an object with so many photons on each pixel."""
    return rng.poisson(photons * image) / photons


def photons_for(wanted: float, photons: Sequence[float] | np.ndarray, qualities: Sequence[float]) -> float:
    """Return the photons that give a quality, interpolated between those that were tried; quality grows with photons."""
    grows = np.maximum.accumulate(np.array(qualities))
    return float(10 ** np.interp(wanted, grows, np.log10(photons)))


def figures_of(ratios: Ratios) -> dict[str, float]:
    """Return the figures; NaN without n2g, or without others."""
    own = {photons: one for photons, one in ratios.get("n2g", {}).items() if photons <= LOW_LIGHT}
    others = [found for method, found in ratios.items() if method != "n2g"]
    return {
        "total_ratio": _mean([one["psnr_total"] for one in own.values()]),
        "peak_ratio": _mean([one["psnr_peak"] for one in own.values()]),
        "other_psnr": _mean(needed_by_others(own, others, "psnr")),
        "other_ssim": _mean(needed_by_others(own, others, "ssim")),
    }


def needed_by_others(
    own: Mapping[float, Mapping[str, float]], others: Sequence[Mapping[float, Mapping[str, float]]], quality: str
) -> list[float]:
    """Return the photons that the best other method needs for each quality of n2g, over those of n2g; none without others."""
    return [
        min(photons_for(one[quality], list(found), [level[quality] for level in found.values()]) for found in others) / photons
        for photons, one in own.items()
        if others
    ]


def _mean(values: list[float]) -> float:
    return float(np.exp(np.mean(np.log(values)))) if values else float("nan")


def lines(ratios: Ratios) -> list[str]:
    """A line for each method and number of photons."""
    return [
        f"{method}, {photons:g} photons: {one['psnr']:.2f} dB, {one['ssim']:.3f}; dose over the pencil beam's, "
        + ", ".join(f"{name} {value:.3g}" for name, value in one.items() if "_" in name)
        for method, found in ratios.items()
        for photons, one in found.items()
    ]


def draw(path: Path, ratios: Ratios) -> None:
    """Draw dose over the pencil beam's against photons: total and peak, for the same PSNR and SSIM."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 7), layout="constrained")
    grid = figure.subplots(2, 2, squeeze=False)
    for row, kind in zip(grid, ("total", "peak"), strict=True):
        for axes, name in zip(row, ("psnr", "ssim"), strict=True):
            for method, found in ratios.items():
                axes.loglog(list(found), [one[f"{name}_{kind}"] for one in found.values()], "o-", label=method)
            axes.axhline(1.0, color="0.6", linestyle="--")
            axes.set_title(f"{kind} dose over the pencil beam's, same {name.upper()}", fontsize="medium")
            axes.set_xlabel("photons on a pixel in one exposure")
    grid[0][0].legend(fontsize="small")
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main()
