"""The mask plate after etching: edges that slope, metal of uneven thickness, masks that are slightly displaced."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

import numpy as np

from beamline.mask_plate import MaskPlate
from sims.shift import shifted

_KEPT = 16  # etched masks held in memory; a scan visits each mask once or a few times in a row
_CLEAREST_FOIL = 1e-6  # transmission that stands for "none", so that a thickness can be computed


@dataclass(frozen=True)
class Etching:
    """How far a plate departs from its design.

    Parameters
    ----------
    slope : float
        Width of an etched edge, in mask pixels.
    unevenness : float
        Standard deviation of the metal's thickness, relative to the foil; for a pixel with neighbours like
        itself. Fine structure etches worse: with four unlike neighbours it is three times as much.
    """

    slope: float = 0.0
    unevenness: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.slope <= 1:
            raise ValueError(f"the slope of an edge must be 0 to 1 pixel, not {self.slope!r}")
        if not 0 <= self.unevenness <= 1:
            raise ValueError(f"the unevenness of the etching must be 0 to 1, not {self.unevenness!r}")


COPPER = Etching(slope=0.3, unevenness=0.03)
"""A printed circuit board: 100 um of copper, wet etched."""

GOLD = Etching(slope=0.15, unevenness=0.015)
"""10 um of gold, ion etched."""


class EtchedPlate:
    """The part of a plate that is in the beam, for any position of the stage.

    Parameters
    ----------
    plate : MaskPlate
        The design.
    etching : Etching
    seed : int
        Seed of the unevenness. The flaws of a mask depend only on the seed and the mask's index, and are computed when it is
        first used: a plate of thousands of masks costs nothing until then.
    """

    def __init__(self, plate: MaskPlate, etching: Etching = GOLD, seed: int = 0):
        self.plate = plate
        self.etching = etching
        self._seed = seed
        self.foil = float(plate.patterns.min())
        """Transmission of the metal that surrounds the masks."""
        self._etched: OrderedDict[int, np.ndarray] = OrderedDict()

    def transmission(self, y_mm: float, x_mm: float) -> np.ndarray:
        """Return the transmission of the part of the plate that is in the beam.

        Parameters
        ----------
        y_mm, x_mm : float
            True position of the stage.

        Returns
        -------
        array, shape (H, W), float64
            0 to 1. An error of the stage of a few um moves the pattern on the sample by the same distance. Half-way between
            two masks, parts of both and the metal between them are in the beam.
        """
        offsets_px = ((y_mm, x_mm) - self.plate.positions_mm) * 1000.0 / self.plate.pixel_size_um
        near = np.flatnonzero((np.abs(offsets_px) < np.array(self.plate.shape) + self.etching.slope + 1).all(axis=1))
        field = np.full(self.plate.shape, self.foil)
        for index in near:
            offset = (float(offsets_px[index, 0]), float(offsets_px[index, 1]))
            field += shifted(self._mask(int(index)) - self.foil, offset, self.etching.slope, outside=0.0)
        return np.clip(field, 0.0, 1.0)

    def _mask(self, index: int) -> np.ndarray:
        """Return one mask with its flaws, shape (H, W)."""
        if index in self._etched:
            self._etched.move_to_end(index)
        else:
            rng = np.random.default_rng((self._seed, index))
            self._etched[index] = etch(self.plate.patterns[index], self.foil, self.etching.unevenness, rng)
            if len(self._etched) > _KEPT:
                self._etched.popitem(last=False)
        return self._etched[index]


def etch(pattern: np.ndarray, foil: float, unevenness: float, rng: np.random.Generator) -> np.ndarray:
    """Return a pattern whose metal is of uneven thickness.

    Parameters
    ----------
    pattern : array, shape (H, W)
        Nominal transmission.
    foil : float
        Transmission of the full thickness; the pattern's thickness follows from it by the law of Beer and Lambert.
    unevenness : float
        See `Etching`.
    rng : numpy.random.Generator

    Returns
    -------
    array, shape (H, W), float64
        0 to 1. Open pixels keep a residue of metal where the error is positive.
    """
    pattern = pattern.astype(float)
    if unevenness == 0 or foil >= 1:
        return pattern
    full = np.log(max(foil, _CLEAREST_FOIL))
    thickness = np.log(np.maximum(pattern, _CLEAREST_FOIL)) / full
    error = unevenness * (1 + _unlike_neighbours(pattern) / 2) * rng.standard_normal(pattern.shape)
    return np.exp(full * np.maximum(thickness + error, 0.0))


def _unlike_neighbours(pattern: np.ndarray) -> np.ndarray:
    """Count the neighbours, 0 to 4, from which each pixel differs; shape (H, W)."""
    count = np.zeros(pattern.shape)
    down = pattern[1:] != pattern[:-1]
    right = pattern[:, 1:] != pattern[:, :-1]
    count[1:] += down
    count[:-1] += down
    count[:, 1:] += right
    count[:, :-1] += right
    return count
