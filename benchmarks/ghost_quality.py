"""Quality of images relative to the object: every method, over objects, photons, compressions and noise draws.

Half-Gaussian masks and the noise of Manni et al. (2025), eq. 13. Objects are programmed or taken from scikit-image; no
setting of any method was chosen on them. A line is added to DIRECTORY/results.csv for each reconstruction, and existing ones
are not repeated, so that a run of hours can be interrupted and resumed, or shared by several processes.
"""

from __future__ import annotations

import argparse
import math
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from analysis.ghost import reconstruct
from analysis.metrics import frc_resolution, psnr, ssim
from benchmarks._common import Claim, arguments_parser, report
from benchmarks._quality_table import KEYS, METHODS, Summaries, append, claimed, figures_of, read, summaries, table
from sims.samples import make_sample

CLAIMS = (
    Claim("margin_db", "dB of PSNR by which n2g leads the best other method, mean over cells", at_least=1.5),
    Claim("cells", "share of cells up to 1000 photons in which n2g leads in SSIM and resolution", at_least=1.0),
    Claim("photons_led", "share of photon levels up to 1000 at which it leads in both, means over objects", at_least=1.0),
    Claim("coverage", "share of true errors within the 90 % interval of n2g's spread"),
)
SEED = 5000  # far from the seeds used for choosing settings
CURVES_AT, PICTURED = 5.0, "chromosomes"


@dataclass(frozen=True)
class Cell:
    """One object under one condition."""

    name: str
    size: int
    compression: float
    photons: float

    @property
    def label(self) -> str:
        """A file name."""
        return f"{self.name}_{self.size}px_{self.compression:g}x_{self.photons:g}"


def main() -> None:
    """Reconstruct, and report the results of all reconstructions in the directory."""
    parser = arguments_parser(__doc__)
    parser.add_argument(
        "--directory", type=Path, default=Path("ghost_quality"), help="for results and figures (default: %(default)s)"
    )
    parser.add_argument("--draws", type=int, default=5, help="noise draws of each cell (default: %(default)s)")
    parser.add_argument("--objects", nargs="+", choices=OBJECTS, default=list(OBJECTS), help="objects to image (default: all)")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS), help="methods (default: all)")
    arguments = parser.parse_args()
    directory = arguments.directory / "quick" if arguments.quick else arguments.directory
    directory.mkdir(parents=True, exist_ok=True)
    run(directory, arguments)
    found = summaries(read(directory / "results.csv"))
    draw(directory, found, arguments)
    report(CLAIMS, figures_of(found), table(found), arguments.json)


def run(directory: Path, arguments: argparse.Namespace) -> None:
    """Reconstruct everything that is not in the directory yet: all cells with one noise draw, then with the next."""
    file = directory / "results.csv"
    for draw_number in range(1 if arguments.quick else arguments.draws):
        for cell in cells(arguments.objects, quick=arguments.quick):
            with claimed(directory / "claims" / f"{cell.label}_{draw_number}") as own:
                if not own:
                    continue
                done = {tuple(row[key] for key in KEYS) for row in read(file)}
                data = None
                for method in arguments.methods:
                    photons, compression = f"{cell.photons:g}", f"{cell.compression:g}"
                    key = (cell.name, str(cell.size), compression, photons, str(draw_number), method)
                    if key in done:
                        continue
                    data = data or measured(cell, arguments.seed + draw_number)
                    first = directory / "images" / f"{cell.label}_{method}.npy"
                    reconstructed, values = judged(*data, method)
                    if draw_number == 0:
                        first.parent.mkdir(exist_ok=True)
                        np.save(first, reconstructed)
                    append(file, key, values)


def cells(names: list[str], *, quick: bool) -> list[Cell]:
    """Return the paper's conditions: noise at 5x (its Fig. 3), 10x with moderate and 3x with high noise (Fig. 5, 6)."""
    if quick:
        return [Cell(name, 32, CURVES_AT, 100) for name in names]
    conditions = [(CURVES_AT, 10.0**power) for power in range(5)] + [(CURVES_AT, 2.0), (10.0, 100.0), (3.0, 2.0)]
    usual = [Cell(name, 64, compression, photons) for compression, photons in conditions for name in names]
    return [*usual, *(Cell(name, 100, CURVES_AT, 100.0) for name in names if name == PICTURED)]


def draw(directory: Path, found: Summaries, arguments: argparse.Namespace) -> None:
    """Draw the curves, and the images of the selected object under the conditions of the paper's figures."""
    # matplotlib is slow to import
    from benchmarks._quality_figures import draw_curves, draw_images

    size = 32 if arguments.quick else 64
    draw_curves(found, CURVES_AT, size, directory / "fig3_photons.png")
    for name, compression, photons in (("fig5", 10.0, 100.0), ("fig6", 3.0, 2.0)):
        cell = Cell(PICTURED, size, compression, photons)
        files = {method: directory / "images" / f"{cell.label}_{method}.npy" for method in METHODS}
        images = {method: np.load(file) for method, file in files.items() if file.exists()}
        if images:
            reference = OBJECTS[cell.name](cell.size)
            condition = cell.name, cell.size, compression, photons
            draw_images(found, condition, reference, images, directory / f"{name}_images.png")


def measured(cell: Cell, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the object (H, W), half-Gaussian masks (M, H, W) and buckets (M,) in units of the object."""
    image = OBJECTS[cell.name](cell.size)
    random = np.random.default_rng((SEED, seed))
    masks = np.abs(random.normal(size=(round(image.size / cell.compression), *image.shape))).astype(np.float32)
    clean = masks.reshape(len(masks), -1).astype(np.float64) @ image.reshape(-1)
    return image, masks, random.poisson(cell.photons * clean) / cell.photons


def judged(image: np.ndarray, masks: np.ndarray, buckets: np.ndarray, method: str) -> tuple[np.ndarray, tuple[float, ...]]:
    """Return the image, and PSNR (dB), SSIM, resolution (pixels), coverage of the interval, CPU seconds."""
    started = time.process_time()
    result = reconstruct(masks, buckets, method)
    cpu_s = time.process_time() - started
    known = np.isfinite(result.spread)
    inside = np.abs(result.image - image)[known] <= 1.645 * result.spread[known]
    return result.image, (
        psnr(result.image, image),
        ssim(result.image, image),
        frc_resolution(result.image, image),
        float(inside.mean()) if known.any() else math.nan,
        cpu_s,
    )


def _emitting(name: str, size: int) -> np.ndarray:
    """Return a simulated sample as an object that emits where the sample absorbs, 0 to 1."""
    image = 1.0 - make_sample(name, (size, size), SEED).astype(np.float64)
    return image / image.max()


def _photograph(name: str, size: int) -> np.ndarray:
    """Return the central part of an image from scikit-image, averaged down and scaled to 0..1."""
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
