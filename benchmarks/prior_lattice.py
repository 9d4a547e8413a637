"""Whether the deep image prior draws a lattice, by its architecture.

Erin et al., J. Phys.: Conf. Ser. 3010, 012172 (2025), saw a regular grid with their first architecture and none with their
second. Here both denoise the phase of a simulated star and of a bundle of fibres, reconstructed from binned frames of a fly
scan with a known path, and pure white noise; each with the paper's learning rate and with a larger one, and stopped at the
noise level.
"""

from __future__ import annotations

import time

import numpy as np
import torch

from analysis.imaging.deep_image_prior import ARCHITECTURES, deep_image_prior
from analysis.imaging.denoise import non_local_means, total_variation
from analysis.imaging.hallucination import check_denoised
from benchmarks._common import Claim, arguments_parser, report
from benchmarks.fly_resolution import FlyScan

CLAIMS = (
    Claim("failed_arch1", "images by the first architecture with a lattice or texture that their input hasn't"),
    Claim("failed_arch2", "the same of the second architecture"),
    Claim("failed_unlearned", "the same of total variation and non-local means", exactly=0),
)


def main() -> None:
    """Measure and report."""
    parser = arguments_parser(__doc__)
    parser.add_argument("--picture", help="draw the images into this PNG")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    size = (10, 160, 4, 300) if arguments.quick else (20, 320, 15, 1000)
    lines, points, sweeps, most = size
    images = {"noise": np.random.default_rng(arguments.seed).standard_normal((128, 128)).astype(np.float32)}
    for sample in ("star", "fibres"):
        scan = FlyScan(lines, points, arguments.seed, sample)
        images[sample] = scan.phase(scan.object_by_epie(16, known_path=True, sweeps=sweeps))
    failed = {"arch1": 0, "arch2": 0, "unlearned": 0}
    table = [f"{'':10} {'':6} {'rate':>6} {'steps':>6} {'peaks':>5} {'texture':>8} {'period':>6}  removed"]
    pictures: dict[str, np.ndarray] = dict(images)

    def judge(name: str, word: str, rate: str, steps: int, made: np.ndarray, took: float) -> None:
        found = check_denoised(images[name], made)
        failed[word if word in failed else "unlearned"] += not found.passed
        pictures[f"{name}, {word} {rate}"] = made
        period = 1 / np.hypot(*found.texture)
        line = f"{name:10} {word:6} {rate:>6} {steps:6d} {len(found.lattice):5d} {found.amplified:8.2f} {period:6.2f}"
        table.append(f"{line}  {found.residual_correlation:.0f} standard errors, {took:.0f} s")
        print(table[-1], flush=True)

    for name, image in images.items():
        judge(name, "TV", "", 0, total_variation(image), 0.0)
        judge(name, "means", "", 0, non_local_means(image), 0.0)
        for architecture in ARCHITECTURES:
            for rate in (1e-3,) if arguments.quick else (1e-3, 3e-5):
                began = time.monotonic()
                made = deep_image_prior(image, architecture=architecture, learning_rate=rate, max_steps=most, seed=arguments.seed)
                judge(name, architecture, f"{rate:g}", made.steps, made.image, time.monotonic() - began)
    if arguments.picture:
        _draw(arguments.picture, pictures)
    report(CLAIMS, {f"failed_{word}": float(number) for word, number in failed.items()}, table, arguments.json)


def _draw(path: str, pictures: dict[str, np.ndarray]) -> None:
    from matplotlib.figure import Figure

    columns = len(pictures) // 3
    figure = Figure(figsize=(3 * columns, 10), layout="constrained")
    names = sorted(pictures, key=lambda name: (name.split(",")[0], list(pictures).index(name)))
    for axes, name in zip(figure.subplots(3, columns).ravel(), names, strict=False):
        axes.imshow(pictures[name], cmap="gray")
        axes.set_title(name, fontsize="small")
        axes.set_axis_off()
    figure.savefig(path, dpi=80)


if __name__ == "__main__":
    main()
