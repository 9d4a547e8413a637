"""Fluorescence ghost imaging of copper wires at three doses, as in Fig. 7 of Manni et al. (2025), on simulated spectra.

42x87 pixels of 24 um, 896 realizations, each 32 exposures of 0.1 s; K-alpha of copper. The full dose is one exposure with all
bins of the peak, 12.9 % its five strongest bins, 2.6 % the strongest one; the number of photons is that of the paper. As in
the paper, each method is compared with its own image from all 32 exposures. This favours methods that are always smooth, so
they are also compared with the truth.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from analysis.ghost import METHODS as METHODS_KNOWN
from analysis.metrics import psnr, ssim
from benchmarks._common import Claim, arguments_parser, report
from benchmarks._kept_images import kept_image
from sims.emission import capillary
from sims.fluorescence import BIN_KEV, DetectorElement, Spectrometer

BEAM_KEV, PIXEL_UM, EXPOSURES = 26.0, 24.0, 32
PHOTONS_IN_BUCKET = 6470.0  # mean of the full dose (Fig. 7d)
METHODS = ("tv", "gidc", "inr", "n2g")
DOSES = {"100": None, "12": 5, "2": 1}
"""For each dose the number of bins, the strongest ones; None: all bins of the peak."""

PAPER = {
    "tv": {"100": (30.24, 0.680), "12": (24.34, 0.319), "2": (21.19, 0.192)},
    "gidc": {"100": (32.76, 0.721), "12": (23.23, 0.315), "2": (21.51, 0.217)},
    "inr": {"100": (33.14, 0.771), "12": (24.73, 0.389), "2": (19.43, 0.182)},
    "n2g": {"100": (35.33, 0.933), "12": (27.75, 0.796), "2": (23.76, 0.501)},
}
"""PSNR (dB) and SSIM from Fig. 7e."""

OWN, TRUE = "own image of 32 exposures", "known truth"
"""What images are compared with."""

CLAIMS = (
    Claim("margin_db_100", f"lead of n2g over the best other method, full dose, each against its {OWN}, dB", at_least=2.19),
    Claim("margin_db_12", "the same at 12.9 % of the dose", at_least=3.02),
    Claim("margin_db_2", "the same at 2.6 % of the dose", at_least=2.25),
    Claim("margin_truth_db", f"lead of n2g over the best other method against the {TRUE}, least of the doses, dB", at_least=0.0),
)

Found = dict[str, dict[str, tuple[float, float]]]
"""PSNR (dB) and SSIM by method and dose."""


@dataclass(frozen=True, eq=False)
class Measured:
    """The simulated measurement.

    Attributes
    ----------
    truth : ndarray, (H, W)
        Copper, in units of the mean bucket of the full dose over the mean transmission of all pixels.
    masks : ndarray, float32, (M, H, W)
    reference : ndarray, (M,)
        Buckets of all exposures.
    buckets : dict of str to ndarray, (M,)
        Buckets of one exposure, by dose.
    """

    truth: np.ndarray
    masks: np.ndarray
    reference: np.ndarray
    buckets: dict[str, np.ndarray]


def main() -> None:
    """Measure, draw and report."""
    parser = arguments_parser(__doc__)
    parser.add_argument("--directory", type=Path, default=Path("xrf_paper"), help="for the picture (default: %(default)s)")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS), help="methods (default: all)")
    arguments = parser.parse_args()
    arguments.directory.mkdir(parents=True, exist_ok=True)
    shape, number = ((14, 29), 100) if arguments.quick else ((42, 87), 896)
    measured = simulated(shape, number, arguments.seed)
    images = reconstructed(measured, arguments)
    own = {method: {dose: quality(made[dose], made["reference"]) for dose in DOSES} for method, made in images.items()}
    true = {method: {dose: quality(made[dose], measured.truth) for dose in made} for method, made in images.items()}
    # matplotlib is slow to import
    from benchmarks._xrf_paper_figure import draw

    draw(arguments.directory / "fig7.png", measured.truth, images, own)
    figures = {f"margin_db_{dose}": margin(own, dose) for dose in DOSES}
    figures["margin_truth_db"] = min(margin(true, dose) for dose in DOSES)
    report(CLAIMS, figures, details(measured, own, true), arguments.json)


def simulated(shape: tuple[int, int], number: int, seed: int) -> Measured:
    """Count the K-alpha photons of copper in each bin of each exposure."""
    emission = capillary(shape, PIXEL_UM * 42 / shape[0], BEAM_KEV)
    rng = np.random.default_rng((seed, 42))
    masks = rng.integers(0, 2, (number, *shape)).astype(np.float32)
    detector = Spectrometer(emission, BEAM_KEV, (DetectorElement(),))
    peak = slice(*(round(energy / BIN_KEV) for energy in (7.85, 8.25)))
    expected = np.stack([detector.expected(mask, 1.0)[0, peak] for mask in masks])
    expected *= PHOTONS_IN_BUCKET / expected.sum(axis=1).mean()
    counts = np.stack([rng.poisson(expected) for _ in range(EXPOSURES)])
    strongest = np.argsort(-expected.sum(axis=0), kind="stable")
    buckets = {}
    for dose, bins in DOSES.items():
        chosen = strongest if bins is None else strongest[:bins]
        share = expected[:, chosen].sum() / expected.sum()
        buckets[dose] = counts[0][:, chosen].sum(axis=1) / share
    truth = emission.elements["Cu"]
    scale = expected.sum(axis=1).mean() / float(np.tensordot(masks, truth, 2).mean())
    return Measured(truth * scale, masks, counts.sum(axis=(0, 2)) / EXPOSURES, buckets)


def reconstructed(measured: Measured, arguments: argparse.Namespace) -> dict[str, dict[str, np.ndarray]]:
    """Return the image of each method at each dose, and that of all exposures as "reference".

    Images are kept in the directory, so that several processes can each do one method.
    """
    kept = arguments.directory / ("quick" if arguments.quick else "images")
    kept.mkdir(exist_ok=True)
    images: dict[str, dict[str, np.ndarray]] = {}
    for method in arguments.methods:
        few = {"steps": 60} if arguments.quick and "steps" in METHODS_KNOWN[method].defaults else {}
        for dose, buckets in {"reference": measured.reference, **measured.buckets}.items():
            image = kept_image(kept, f"{method}_{dose}", measured.masks, buckets, method, seed=arguments.seed, **few)
            images.setdefault(method, {})[dose] = image
    return images


def quality(image: np.ndarray, reference: np.ndarray) -> tuple[float, float]:
    """PSNR (dB) and SSIM."""
    return psnr(image, reference), ssim(image, reference)


def margin(found: Found, dose: str) -> float:
    """Return the lead of n2g in dB; NaN if it or the others are missing."""
    others = [one[dose][0] for method, one in found.items() if method != "n2g"]
    return found["n2g"][dose][0] - max(others) if others and "n2g" in found else float("nan")


def details(measured: Measured, own: Found, true: Found) -> list[str]:
    """Return a table for each comparison, ghostbeam's figures beside the paper's."""
    lines = [f"mean photons in a bucket at the full dose: {measured.buckets['100'].mean():.0f} (paper: 6470)"]
    lines += table(f"PSNR (dB) and SSIM against each method's {OWN}; the paper's in brackets", own, PAPER)
    lines += table(f"PSNR (dB) and SSIM against the {TRUE}", true, None)
    return lines


def table(title: str, found: Found, paper: Found | None) -> list[str]:
    """Return a line for each method, and one with the lead of n2g at each dose."""
    doses = list(next(iter(found.values())))
    lines = [title, f"{'':>6}" + "".join(f"{dose if dose == 'reference' else f'{dose} %':>27}" for dose in doses)]
    for method, levels in found.items():
        published = {} if paper is None else {dose: " ({:.2f} {:.3f})".format(*paper[method][dose]) for dose in doses}
        cells = ["{:.2f} {:.3f}".format(*levels[dose]) + published.get(dose, "") for dose in doses]
        lines.append(f"{method:>6}" + "".join(f"{cell:>27}" for cell in cells))
    published = {} if paper is None else {dose: f" ({margin(paper, dose):.2f})" for dose in doses}
    cells = [f"{margin(found, dose):.2f}" + published.get(dose, "") for dose in doses]
    return [*lines, f"{'lead':>6}" + "".join(f"{cell:>27}" for cell in cells)]


if __name__ == "__main__":
    main()
