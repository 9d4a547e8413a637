"""The finished object denoised, and what tells whether that can be believed.

Beside a learned image always stand total variation and non-local means, which have learned nothing, and checks: a lattice in the
spectrum that the input hasn't, one with the pitch of the scan, whether what was removed is white, and what the same steps
make of frames without a sample.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from analysis.estimate import Quantity, image_quantity
from analysis.imaging.denoise import non_local_means, total_variation
from analysis.imaging.hallucination import AMPLIFIED, check_denoised
from analysis.techniques.ptychography.options import DENOISERS

Region = tuple[slice, slice]
_SMALLEST = 16  # pixels: less shows no noise


class Denoiser:
    """Denoises an object where the beam was.

    Real and imaginary part, each by itself, after the mean phase was taken away: a phase that wraps has edges that
    the object hasn't.

    Parameters
    ----------
    options : mapping
        Those of `epie`.
    region : (slice, slice)
        Rows and columns where the beam was.
    seed : int
    device : str
    """

    def __init__(self, options: Mapping[str, Any], region: Region, seed: int, device: str) -> None:
        self._options, self._region, self._seed, self._device = options, region, seed, device
        self._calls = 0

    def __call__(self, field: np.ndarray) -> np.ndarray:
        """An object (rows, columns), complex64, denoised as the options say."""
        return self.by(self._options["denoise"], field)

    def by(self, name: str, field: np.ndarray) -> np.ndarray:
        """The same by one of `DENOISERS`."""
        inner = field[self._region].astype(np.complex128)
        turn = np.exp(1j * np.angle(inner.mean()))
        inner = inner / turn
        self._calls += 1
        real, imaginary = (self._part(name, part, index) for index, part in enumerate((inner.real, inner.imag)))
        smooth = field.copy()
        smooth[self._region] = (real + 1j * imaginary) * turn
        return smooth

    def _part(self, name: str, image: np.ndarray, index: int) -> np.ndarray:
        architecture = DENOISERS[name]
        if architecture is None:
            return (total_variation if name == "tv" else non_local_means)(image)
        from analysis.imaging.deep_image_prior import deep_image_prior  # torch: sessions read this module's words and load none

        # Each has a network of its own: one and the same would draw the same into both.
        seed = int(np.random.SeedSequence((self._seed, self._calls, index)).generate_state(1)[0])
        return deep_image_prior(
            image,
            architecture=architecture,
            learning_rate=float(self._options["prior_rate"]),
            max_steps=self._options["prior_steps"],
            seed=seed,
            device=self._device,
        ).image


def is_learned(options: Mapping[str, Any]) -> bool:
    """Whether a network denoises."""
    return options["denoise"] is not None and DENOISERS[options["denoise"]] is not None


def where_the_beam_was(positions: np.ndarray, probe: np.ndarray, canvas: tuple[int, int]) -> Region:
    """Rows and columns of the object that the beam met.

    Parameters
    ----------
    positions : ndarray, (N, 2)
        First row and column of each frame, pixels.
    probe : ndarray, (M, H, W)
    canvas : (rows, columns)
        Pixels of the object.
    """
    power = (np.abs(probe) ** 2).sum(axis=0)
    slices = []
    for axis, size in enumerate(canvas):
        profile = power.sum(axis=1 - axis)
        place = np.arange(len(profile))
        middle = (profile * place).sum() / profile.sum()
        radius = max(np.sqrt((profile * (place - middle) ** 2).sum() / profile.sum()), _SMALLEST / 2)
        first, last = positions[:, axis].min() + middle - radius, positions[:, axis].max() + middle + radius
        slices.append(slice(max(0, int(first)), min(size, int(np.ceil(last)))))
    return slices[0], slices[1]


def denoised_quantities(options: Mapping[str, Any], canvas: tuple[int, int]) -> tuple[dict[str, Quantity], dict[str, Quantity]]:
    """Arrays and figures that denoising adds to an estimate."""
    if options["denoise"] is None:
        return {}, {}
    arrays = {
        "denoised_phase": image_quantity(f"phase, denoised by {options['denoise']}", canvas, "rad"),
        "denoised_amplitude": image_quantity(f"amplitude, denoised by {options['denoise']}", canvas),
    }
    if not is_learned(options):
        return arrays, {}
    arrays |= {
        "tv_phase": image_quantity("phase, denoised by total variation", canvas, "rad"),
        "nlm_phase": image_quantity("phase, denoised by non-local means", canvas, "rad"),
    }
    figures = {
        "lattice_peaks": Quantity("lattice peaks that denoising added", lower_is_better=True, doubtful_from=1.0),
        "lattice_at_pitch": Quantity("of them with the pitch of the scan", lower_is_better=True, doubtful_from=1.0),
        "added_texture": Quantity("power after denoising over before", lower_is_better=True, doubtful_from=AMPLIFIED),
        "null_lattice_peaks": Quantity("lattice peaks without a sample", lower_is_better=True, doubtful_from=1.0),
        "null_contrast": Quantity("phase drawn without a sample", "rad", lower_is_better=True),
        "removed_correlation": Quantity(
            "correlation of what was removed", "standard errors", lower_is_better=True, doubtful_from=5.0
        ),
    }
    return arrays, figures


def checks(before: np.ndarray, after: np.ndarray, region: Region, pitch_px: tuple[float, float] | None) -> dict[str, float]:
    """Figures of what a denoiser made up, from the phases (rows, columns) before and after."""
    found = check_denoised(before[region], after[region], pitch_px=pitch_px)
    return {
        "lattice_peaks": float(len(found.lattice)),
        "lattice_at_pitch": float(found.pitch_peaks),
        "added_texture": found.amplified,
        "removed_correlation": found.residual_correlation,
    }


def null_checks(before: np.ndarray, after: np.ndarray, region: Region) -> dict[str, float]:
    """The same of the phases of a sample that isn't there."""
    found = check_denoised(before[region], after[region])
    return {"null_lattice_peaks": float(len(found.lattice)), "null_contrast": float(after[region].std())}
