"""The benefit of measured masks: images with the designed, measured and true masks of a plate that differs from its design.

The gold plate's metal is of uneven thickness, its edges slope, and every mask is displaced by 0.3 pixels in a direction of
its own. A camera takes four noisy frames of each mask; the resulting mask set replaces the design. `recovered` is the
fraction of the PSNR lost by the design, relative to the true masks, that measured masks restore, in dB, mean over objects and
methods. A shift common to all masks moves the whole image and is not an error: the object is moved as well. The limit are the
true masks on the image grid of the calibration, whose pixels lie beside those of the simulated sample; no real sample has
pixels. `pixels_db` says what true masks would gain on the sample's own pixels.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from analysis.ghost import reconstruct
from analysis.metrics import psnr, ssim
from beamline.mask_designs import GOLD_DEPTH, random_binary
from benchmarks._common import Claim, arguments_parser, report
from benchmarks._mask_camera import calibrated
from sims.etched_plate import etch
from sims.samples import make_sample
from sims.shift import shifted

MISPLACED_PX, UNEVENNESS, SLOPE = 0.3, 0.1, 0.25
PHOTONS = 1e4  # on an open pixel
LIGHT, EXPOSURES = 4000.0, 4  # counts of the camera without a mask, number of frames of each mask
OBJECTS, METHODS = ("CAS", "chromosomes", "wires"), ("tv", "n2g")
KNOWN = ("designed", "measured", "true", "true, own pixels")
MEASURED_GRID = ("measured", "true")
CLAIMS = (
    Claim("recovered", "part of the loss in dB that measured masks give back", at_least=0.8),
    Claim("loss_db", "dB that designed masks lose against true ones, mean"),
    Claim("pixels_db", "dB that true masks gain on the sample's own pixels, mean"),
    Claim("uncertainty", "root mean square of measured minus true transmission"),
    Claim("shift_error_px", "error of the registered shifts, root mean square along an axis", at_most=0.05),
)


@dataclass(frozen=True, eq=False)
class Plate:
    """Masks (M, H, W) for the reconstruction, by their source, and figures of the calibration.

    `grid_px` is the displacement of the calibration's image grid from the true one.
    """

    masks: dict[str, np.ndarray]
    uncertainty: float
    shift_error_px: float
    grid_px: tuple[float, float]


def main() -> None:
    """Measure, draw and report."""
    parser = arguments_parser(__doc__)
    parser.add_argument("--directory", type=Path, default=Path("mask_worth"), help="for the picture (default: %(default)s)")
    parser.add_argument("--objects", nargs="+", choices=OBJECTS, default=list(OBJECTS), help="objects (default: all)")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS), help="methods (default: all)")
    arguments = parser.parse_args()
    arguments.directory.mkdir(parents=True, exist_ok=True)
    size, number = (24, 150) if arguments.quick else (64, 1024)
    plate = made_plate(size, number, arguments.seed)
    objects, methods = (OBJECTS[:1], METHODS[:1]) if arguments.quick else (arguments.objects, arguments.methods)
    rows, images = [], {}
    for name in objects:
        sample = make_sample(name, (size, size), arguments.seed)
        buckets = scanned(plate.masks["true, own pixels"], sample, arguments)
        for method in methods:
            made = {known: reconstruct(plate.masks[known], buckets, method, seed=arguments.seed).image for known in KNOWN}
            moved = shifted(sample, (-plate.grid_px[0], -plate.grid_px[1]))
            there = {known: moved if known in MEASURED_GRID else sample for known in KNOWN}
            rows.append(
                (name, method, {known: (psnr(made[known], there[known]), ssim(made[known], there[known])) for known in KNOWN})
            )
            images[name, method] = sample, made
            print(f"  {line(*rows[-1])}", flush=True)
    # matplotlib is slow to import
    from benchmarks._mask_worth_figure import draw

    draw(arguments.directory / "mask_worth.png", images)
    levels = {known: float(np.mean([found[known][0] for _, _, found in rows])) for known in KNOWN}
    loss = levels["true"] - levels["designed"]
    figures = {
        "recovered": (levels["measured"] - levels["designed"]) / loss,
        "loss_db": loss,
        "pixels_db": levels["true, own pixels"] - levels["true"],
        "uncertainty": plate.uncertainty,
        "shift_error_px": plate.shift_error_px,
    }
    report(CLAIMS, figures, [line(*row) for row in rows], arguments.json)


def made_plate(size: int, number: int, seed: int) -> Plate:
    """Etch a plate, misplace its masks, and measure it."""
    rng = np.random.default_rng((seed, 11))
    designs = (1 - GOLD_DEPTH + GOLD_DEPTH * random_binary(number, size, seed)).astype(np.float32)
    metal = float(designs.min())
    etched = np.stack([etch(design, metal, UNEVENNESS, rng) for design in designs])
    angles = rng.uniform(0, 2 * np.pi, number)
    places = MISPLACED_PX * np.stack([np.sin(angles), np.cos(angles)], axis=1)

    def in_beam(grid: tuple[float, float]) -> np.ndarray:
        """All masks on a grid displaced by this much from the true one."""
        lies = [
            metal + shifted(mask - metal, tuple(place - grid), SLOPE, outside=0.0)
            for mask, place in zip(etched, places, strict=True)
        ]
        return np.stack(lies).astype(np.float32)

    measured, grid = calibrated(designs, etched, places, slope=SLOPE, light=LIGHT, exposures=EXPOSURES, rng=rng)
    shifts = measured.registration[:, :2]
    beside = (shifts - np.median(shifts, axis=0)) - (places - np.median(places, axis=0))
    masks = {"designed": designs, "measured": measured.patterns, "true": in_beam(grid), "true, own pixels": in_beam((0.0, 0.0))}
    error = float(np.sqrt(np.mean((measured.patterns - masks["true"]) ** 2)))
    return Plate(masks, error, float(np.sqrt(np.nanmean(beside**2))), grid)


def scanned(masks: np.ndarray, sample: np.ndarray, arguments: argparse.Namespace) -> np.ndarray:
    """Buckets (M,), with photon noise, in units of mask times sample transmission."""
    rng = np.random.default_rng((arguments.seed, 12))
    clean = np.tensordot(masks.astype(np.float64), sample.astype(np.float64), 2)
    return rng.poisson(PHOTONS * clean) / PHOTONS


def line(name: str, method: str, found: dict[str, tuple[float, float]]) -> str:
    """A line for the report."""
    said = ", ".join(f"{known} {level:.2f} dB {likeness:.3f}" for known, (level, likeness) in found.items())
    return f"{name} by {method}: {said}"


if __name__ == "__main__":
    main()
