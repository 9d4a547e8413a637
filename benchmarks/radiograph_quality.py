"""Error of Noise2Self on decorrelated radiographs relative to the sharp scene, compared with white noise of the same dose.

The scene is falling spheres, with a scintillator of 0.645 pixels, read noise and 500 photons per pixel; the kernel is
measured with static frames of the same scene. The same network learns raw radiographs, decorrelated ones, and Poisson noise
without a scintillator. The error is relative to the scene before the scintillator. For comparison: BM3D with the known
spectrum of the noise, without and with deconvolution, and BM3D of decorrelated radiographs. BM3D's licence keeps it out of
the package: pip install --no-deps bm3d bm4d.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np
import torch

from analysis.imaging.camera_noise import CameraNoise
from analysis.imaging.noisy_training import STEPS
from analysis.radiographs.correlation import correlation_by_differences
from analysis.radiographs.kernel import decorrelated, kernel_of
from analysis.radiographs.neighbour_noise import refusal_of_blind_spots
from analysis.radiographs.noise2self import train
from benchmarks._common import Claim, arguments_parser, report
from benchmarks._frame_pairs import WITHOUT_BM3D, has_bm3d
from sims.radiographs import FlatPanel, moving_bed

CLAIMS = (
    Claim("mse_ratio", "squared error on decorrelated radiographs over that on white noise", at_most=1.05),
    Claim("mse_ratio_raw", "the same on raw radiographs (a refused one)"),
    Claim("noise_ratio", "noise after denoising over before, decorrelated"),
)
PHOTONS = 500.0
READ_NOISE = 3.0
_SHOWN = 4  # number of radiographs for the errors
_DRAWS = 8  # of the noise for one scene


def main() -> None:
    """Measure and report."""
    parser = arguments_parser(__doc__)
    parser.add_argument("--draws", type=int, default=3, help="scenes, each with its own noise (default: %(default)s)")
    arguments: argparse.Namespace = parser.parse_args()
    torch.set_num_threads(1)
    side, number, steps = (64, 4, 40) if arguments.quick else (256, 16, STEPS)
    draws = 1 if arguments.quick else arguments.draws
    errors: dict[str, list[float]] = {}
    details, ratios = [], []
    for draw in range(draws):
        found, ratio, told = one_scene(side, number, steps, arguments.seed + draw)
        for name, value in found.items():
            errors.setdefault(name, []).append(value)
        ratios.append(ratio)
        details += told
        print("  " + ", ".join(f"{name} {value:.2f}" for name, value in found.items()), flush=True)
    mean = {name: float(np.mean(values)) for name, values in errors.items()}
    details += [f"squared error of {name}: {value:.2f} counts^2" for name, value in mean.items()]
    if not has_bm3d():
        details.append(WITHOUT_BM3D)
    figures = {"mse_ratio": mean["decorrelated"] / mean["white"], "mse_ratio_raw": mean["raw"] / mean["white"]}
    report(CLAIMS, figures | {"noise_ratio": float(np.mean(ratios))}, details, arguments.json)


def one_scene(side: int, number: int, steps: int, seed: int) -> tuple[dict[str, float], float, list[str]]:
    """Squared errors, counts^2, the ratio of noise after to before, and further results."""
    scene = moving_bed((side, side), number, side * side // 400, seed=seed)
    panel = FlatPanel(read_noise=READ_NOISE)
    static = panel.frames(scene[:1].repeat(60, axis=0), PHOTONS, seed + 1000)
    kernel = kernel_of(correlation_by_differences(static))
    raw = panel.frames(scene, PHOTONS, seed)
    white_noise = (np.random.default_rng((seed, 1)).poisson(PHOTONS * scene)).astype(np.float32)
    white_noise += READ_NOISE * np.random.default_rng((seed, 2)).standard_normal(scene.shape).astype(np.float32)
    sets = {"raw": raw, "decorrelated": decorrelated(raw, kernel), "white": white_noise}
    errors, details = {}, []
    networks: dict[str, Callable[[np.ndarray], np.ndarray]] = {}
    for name, images in sets.items():
        network = networks[name] = train(images, seed, steps=steps)
        errors[f"{name}, not denoised"] = squared_error(images[:_SHOWN], scene)
        errors[name] = squared_error(np.stack([network(image) for image in images[:_SHOWN]]), scene)
        verdict = "refused" if refusal_of_blind_spots(images, "") else "accepted"
        loss = f"held-out loss {network.heldout_loss:.4f}"
        details.append(f"{name}: {verdict} by the test, best after {network.steps} steps, {loss}")
    if has_bm3d():
        for name, made in bm3d_beside(raw, kernel).items():
            errors[name] = squared_error(made, scene)
    before = decorrelated(panel.frames(scene[:1].repeat(_DRAWS, axis=0), PHOTONS, seed + 2000), kernel)
    after = np.stack([networks["decorrelated"](image) for image in before])
    return errors, float(after.std(axis=0).mean() / before.std(axis=0).mean()), details


def squared_error(images: np.ndarray, scene: np.ndarray) -> float:
    """Squared error of the first radiographs relative to the sharp scene, counts^2."""
    return float(np.mean((images - PHOTONS * scene[: len(images)]) ** 2))


def bm3d_beside(raw: np.ndarray, kernel: np.ndarray) -> dict[str, np.ndarray]:
    """BM3D of the same radiographs after an Anscombe transform."""
    if not hasattr(np, "trapz"):
        np.trapz = np.trapezoid  # type: ignore[attr-defined]  # bm3d uses it if the noise is not white
    import bm3d

    images = raw[:_SHOWN]
    squares = float((kernel**2).sum())
    blurred, white = CameraNoise(squares, READ_NOISE**2), CameraNoise(1.0, 0.0)
    shape = raw.shape[1:]
    spectrum = np.abs(np.fft.fft2(kernel / squares**0.5, shape)) ** 2 * np.prod(shape)
    told = np.stack([blurred.counts(bm3d.bm3d(blurred.stabilised(image), spectrum)) for image in images])
    sharp = [np.maximum(image, 0) for image in decorrelated(images, kernel)]
    return {
        "BM3D told the spectrum": told,
        "the same, deconvolved": decorrelated(told, kernel),
        "BM3D, decorrelated": np.stack([white.counts(bm3d.bm3d(white.stabilised(image), 1.0)) for image in sharp]),
    }


if __name__ == "__main__":
    main()
