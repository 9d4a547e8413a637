"""The mask plate: which patterns it carries, where they lie, and the identity of the whole."""

from __future__ import annotations

import hashlib
import json
import operator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np


class MaskPlateError(ValueError):
    """A mask plate, or a request made of one, that cannot be right."""


@dataclass(frozen=True, eq=False)
class MaskPlate:
    """The patterns on a mask plate and the stage readings that bring each of them into the beam.

    Parameters
    ----------
    name : str
        What people call the plate. Not part of its identity.
    patterns : array, shape (M, H, W)
        Nominal transmission of each pixel of each mask, 0 to 1.
    positions_mm : array, shape (M, 2)
        Stage readings (y, x) in mm that centre mask m in the beam.
    pixel_size_um : float
        Edge of one mask pixel in um.

    Raises
    ------
    MaskPlateError
        If shapes do not agree, a number is not finite, a transmission is outside 0 to 1, or two masks share a
        position.

    Notes
    -----
    The arrays are copied and made read-only, so the identity cannot go stale.
    """

    name: str
    patterns: np.ndarray
    positions_mm: np.ndarray
    pixel_size_um: float

    def __post_init__(self) -> None:
        patterns = _numbers(self.patterns, np.float32, "patterns")
        positions = _numbers(self.positions_mm, np.float64, "positions_mm")
        where = f"mask plate {self.name!r}"
        if patterns.ndim != 3 or 0 in patterns.shape:
            raise MaskPlateError(f"{where}: patterns must have the shape (masks, rows, columns), not {patterns.shape}")
        if positions.shape != (len(patterns), 2):
            raise MaskPlateError(
                f"{where}: positions_mm must have the shape ({len(patterns)}, 2), one (y, x) a mask, not {positions.shape}"
            )
        if not (np.isfinite(patterns).all() and patterns.min() >= 0 and patterns.max() <= 1):
            raise MaskPlateError(f"{where}: every transmission in patterns must be a number from 0 to 1")
        if not np.isfinite(positions).all():
            raise MaskPlateError(f"{where}: every entry of positions_mm must be a finite number")
        if len(np.unique(positions, axis=0)) != len(positions):
            raise MaskPlateError(f"{where}: two masks have the same position")
        pixel_size = float(self.pixel_size_um)
        if not (np.isfinite(pixel_size) and pixel_size > 0):
            raise MaskPlateError(f"{where}: pixel_size_um must be positive, not {self.pixel_size_um!r}")
        patterns.setflags(write=False)
        positions.setflags(write=False)
        for field, value in (("patterns", patterns), ("positions_mm", positions), ("pixel_size_um", pixel_size)):
            object.__setattr__(self, field, value)

    def __len__(self) -> int:
        return len(self.patterns)

    def __repr__(self) -> str:
        height, width = self.shape
        return (
            f"<MaskPlate {self.name!r}: {len(self)} masks of {height}x{width} pixels, {self.pixel_size_um:g} um, "
            f"{self.identity[:12]}>"
        )

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of one mask."""
        return self.patterns.shape[1], self.patterns.shape[2]

    @cached_property
    def identity(self) -> str:
        """SHA-256 in hexadecimal of patterns, positions and pixel size; the name is left out."""
        geometry = {"shape": list(self.patterns.shape), "pixel_size_um": self.pixel_size_um}
        digest = hashlib.sha256(json.dumps(geometry, sort_keys=True).encode())
        digest.update(np.ascontiguousarray(self.patterns, "<f4").tobytes())
        digest.update(np.ascontiguousarray(self.positions_mm, "<f8").tobytes())
        return digest.hexdigest()

    @cached_property
    def sequency_order(self) -> np.ndarray:
        """Mask indices, shape (M,), from the coarsest pattern to the finest.

        The sequency of a pattern is the mean number of crossings of its middle level along a row plus that along
        a column. For outer products of Walsh functions it is the sum of the two sequencies; it is defined for any
        other pattern too. Patterns of the same sequency stay in the order in which they lie on the plate.
        """
        middle = (self.patterns.min(axis=(1, 2)) + self.patterns.max(axis=(1, 2))) / 2
        bright = self.patterns > middle[:, None, None]
        along_rows = (bright[:, :, 1:] != bright[:, :, :-1]).sum(axis=(1, 2)) / self.shape[0]
        along_columns = (bright[:, 1:, :] != bright[:, :-1, :]).sum(axis=(1, 2)) / self.shape[1]
        return np.argsort(along_rows + along_columns, kind="stable")

    @cached_property
    def complements(self) -> np.ndarray:
        """For each mask, the index of the one that is open where it is closed, shape (M,); -1 if the plate has none."""
        levels = np.rint(1000 * self.patterns).astype(np.int16)
        places = {mask.tobytes(): index for index, mask in enumerate(levels)}
        total = levels.min() + levels.max()
        return np.array([places.get((total - mask).tobytes(), -1) for mask in levels])

    def checked_index(self, index: Any) -> int:
        """Return the index as an int; a float that is whole, as bluesky's own scans make them, is taken too.

        Raises
        ------
        MaskPlateError
            If it is not a whole number or there is no such mask on the plate.
        """
        try:
            number = int(index) if isinstance(index, float) and index.is_integer() else operator.index(index)
        except TypeError:
            raise MaskPlateError(f"a mask index must be a whole number, not {index!r}") from None
        if isinstance(index, (bool, np.bool_)) or not 0 <= number < len(self):
            raise MaskPlateError(f"there is no mask {index!r} on plate {self.name!r}: its masks are 0 to {len(self) - 1}")
        return number

    def nearest(self, y_mm: float, x_mm: float) -> tuple[int, float, float]:
        """Say which mask is nearest to the beam and how far it is off.

        Parameters
        ----------
        y_mm, x_mm : float
            Stage readings in mm.

        Returns
        -------
        index : int
        offset_y_um, offset_x_um : float
            Reading minus the mask's position, in um.
        """
        difference = (y_mm, x_mm) - self.positions_mm
        index = int(np.argmin(np.einsum("ij,ij->i", difference, difference)))
        offset_y, offset_x = difference[index] * 1000.0
        return index, float(offset_y), float(offset_x)

    def save(self, path: str | Path) -> None:
        """Write the plate to an NPZ file."""
        with open(path, "wb") as file:
            np.savez_compressed(
                file,
                name=np.array(self.name),
                patterns=self.patterns,
                positions_mm=self.positions_mm,
                pixel_size_um=np.array(self.pixel_size_um),
            )

    @classmethod
    def load(cls, path: str | Path) -> MaskPlate:
        """Read a plate from an NPZ file.

        Raises
        ------
        MaskPlateError
            If the file is absent, is not an NPZ file, lacks an array, or describes an impossible plate.
        """
        try:
            # Opened here, because np.load leaves a file open whose end is damaged.
            with open(path, "rb") as stream, np.load(stream, allow_pickle=False) as file:
                return cls(
                    name=str(file["name"]),
                    patterns=file["patterns"],
                    positions_mm=file["positions_mm"],
                    pixel_size_um=float(file["pixel_size_um"]),
                )
        except MaskPlateError as error:
            raise MaskPlateError(f"{path}: {error}") from None
        except Exception as error:  # a damaged file can raise anything: zlib.error, tokenize.TokenError, NotImplementedError
            raise MaskPlateError(
                f"cannot read a mask plate from {path}: {error}. "
                "It must be an NPZ file with name, patterns, positions_mm and pixel_size_um, as MaskPlate.save writes"
            ) from error


def _numbers(values: Any, dtype: type, field: str) -> np.ndarray:
    """Copy values into a C-ordered array of the given type."""
    try:
        return np.array(values, dtype=dtype, order="C", copy=True)
    except (TypeError, ValueError) as error:
        raise MaskPlateError(f"{field} must be an array of numbers: {error}") from None
