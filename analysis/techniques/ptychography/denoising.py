"""Denoising of the finished object, and checks whether the result is credible.

A learned image is always accompanied by total variation and non-local means, which have learned nothing, and by checks: for a
lattice in the spectrum that is not in the input, for one with the pitch of the scan, whether the removed part is white, and
what the same steps give for frames without a sample.
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
_SMALLEST = 16  # pixels: a smaller region does not show the noise


class Denoiser:
    """Denoises the illuminated part of an object.

    Real and imaginary part are denoised separately, after removal of the mean phase: a wrapped phase has edges that the
    object does not have.

    Parameters
    ----------
    options : mapping
        Options of `epie`.
    region : (slice, slice)
        Illuminated rows and columns.
    seed : int
    device : str
    """

    def __init__(self, options: Mapping[str, Any], region: Region, seed: int, device: str) -> None:
        self._options, self._region, self._seed, self._device = options, region, seed, device
        self._calls = 0

    def __call__(self, field: np.ndarray) -> np.ndarray:
        """Denoise an object (rows, columns), complex64, as given by the options."""
        return self.by(self._options["denoise"], field)

    def by(self, name: str, field: np.ndarray) -> np.ndarray:
        """The same with one of `DENOISERS`."""
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
        from analysis.imaging.deep_image_prior import deep_image_prior  # torch: sessions import this module but do not load torch

        # Each has a network of its own: a common one would draw the same structure into both.
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
    """Rows and columns of the object that were illuminated.

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
    """Figures of artefacts of a denoiser, from the phases (rows, columns) before and after."""
    found = check_denoised(before[region], after[region], pitch_px=pitch_px)
    return {
        "lattice_peaks": float(len(found.lattice)),
        "lattice_at_pitch": float(found.pitch_peaks),
        "added_texture": found.amplified,
        "removed_correlation": found.residual_correlation,
    }


def null_checks(before: np.ndarray, after: np.ndarray, region: Region) -> dict[str, float]:
    """The same for the phases of an empty sample."""
    found = check_denoised(before[region], after[region])
    return {"null_lattice_peaks": float(len(found.lattice)), "null_contrast": float(after[region].std())}
