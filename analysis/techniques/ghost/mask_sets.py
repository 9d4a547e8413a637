"""Mask sets: the references of ghost imaging."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from analysis.documents.references import Reference, ReferenceName, ReferenceStore

KIND = "mask_set"
MASK_SET = "mask_set"
"""The option of a recipe that replaces the run's mask set by another one."""


def checked_identity(value: Any) -> str | None:
    """The identity in the option `mask_set`, or None.

    Raises
    ------
    ValueError
        If it is not an identity.
    """
    if value is None or (isinstance(value, str) and len(value) == 64 and set(value) <= set("0123456789abcdef")):
        return value
    raise ValueError(
        f"mask_set must be the identity of a mask set, 64 hexadecimal digits, not {value!r:.80}: `ghostbeam masks list` has them"
    )


class MaskSetLike(Protocol):
    """Any object with the arrays of a mask set: the plate of a beamline, an ingested set."""

    @property
    def name(self) -> str:
        """Name for display."""

    @property
    def patterns(self) -> np.ndarray:
        """(M, H, W), transmission."""

    @property
    def positions_mm(self) -> np.ndarray:
        """(M, 2), stage readings (y, x)."""

    @property
    def pixel_size_um(self) -> float:
        """Size of a mask pixel on the sample."""


@dataclass(frozen=True, eq=False)
class MaskSet:
    """The masks of a ghost-imaging acquisition.

    Parameters
    ----------
    name : str
        Name for display.
    patterns : ndarray, (M, H, W)
        Transmission of every mask pixel (signed for differential acquisitions): bool, int8, uint8 or float32.
    positions_mm : ndarray, float64, (M, 2)
        Stage readings (y, x) that centre each mask in the beam.
    pixel_size_um : float
        Size of a mask pixel on the sample.
    uncertainty : ndarray, float32, (M, H, W), optional
        Standard error of the patterns, if they were measured; NaN where unknown.
    registration : ndarray, float64, (M, 6), optional
        Position of each mask relative to its design: `analysis.masks.calibration.REGISTRATION`.
    design : str, optional
        Identity of the mask set with the design of these masks.
    runs : tuple of str
        Uids of the runs with which they were measured.
    """

    name: str
    patterns: np.ndarray
    positions_mm: np.ndarray
    pixel_size_um: float
    uncertainty: np.ndarray | None = None
    registration: np.ndarray | None = None
    design: str | None = None
    runs: tuple[str, ...] = ()

    @property
    def identity(self) -> str:
        """sha256 of the content (the name is not part of it)."""
        return self.reference().identity

    def reference(self) -> Reference:
        """The mask set in the form in which it is stored.

        Raises
        ------
        ValueError
            If the patterns are not (M, H, W), the positions not (M, 2), or a value is not finite.
        """
        narrow = self.patterns.dtype in (np.bool_, np.int8, np.uint8)
        patterns = np.ascontiguousarray(self.patterns, dtype=None if narrow else "<f4")
        positions = np.ascontiguousarray(self.positions_mm, dtype="<f8")
        if patterns.ndim != 3 or 0 in patterns.shape:
            raise ValueError(f"mask set {self.name!r}: patterns must be (M, H, W), not {patterns.shape}")
        if positions.shape != (len(patterns), 2):
            raise ValueError(f"mask set {self.name!r}: positions_mm must be ({len(patterns)}, 2), not {positions.shape}")
        if not ((narrow or np.isfinite(patterns).all()) and np.isfinite(positions).all() and np.isfinite(self.pixel_size_um)):
            raise ValueError(f"mask set {self.name!r} holds values that are not finite")
        arrays = {"patterns": patterns, "positions_mm": positions}
        attributes: dict[str, Any] = {"pixel_size_um": float(self.pixel_size_um)}
        for name, dtype in (("uncertainty", "<f4"), ("registration", "<f8")):
            if (array := getattr(self, name)) is not None:
                arrays[name] = np.ascontiguousarray(array, dtype=dtype)
        if self.design is not None:
            attributes["design"] = self.design
        return Reference(KIND, arrays, attributes, str(self.name), self.runs)

    @classmethod
    def of(cls, reference: Reference) -> MaskSet:
        """The mask set in a reference."""
        arrays, attributes = reference.arrays, reference.attributes
        return cls(
            reference.name,
            arrays["patterns"],
            arrays["positions_mm"],
            float(attributes["pixel_size_um"]),
            arrays.get("uncertainty"),
            arrays.get("registration"),
            attributes.get("design"),
            reference.runs,
        )


class MaskStore:
    """The mask sets of a state directory."""

    def __init__(self, state_dir: Path | str) -> None:
        self._store = ReferenceStore(state_dir)

    def save(self, masks: MaskSetLike) -> str:
        """Store a mask set (once) and return its identity.

        Raises
        ------
        ValueError
            If the patterns are not (M, H, W), the positions not (M, 2), or a value is not finite.
        """
        mask_set = MaskSet(masks.name, masks.patterns, masks.positions_mm, masks.pixel_size_um)
        return self._store.save(mask_set.reference())

    def load(self, identity: str) -> MaskSet:
        """The mask set of this identity, its content checked against it.

        Raises
        ------
        ReferenceMissing
            If it is not in the store.
        ReferenceDiffers
            If the file is damaged or holds another set.
        """
        return MaskSet.of(self._store.load(ReferenceName(KIND, identity)))

    def path(self, identity: str) -> Path:
        """The path of the mask set with this identity."""
        return self._store.path(ReferenceName(KIND, identity))

    def identities(self) -> list[str]:
        """The identities of all stored mask sets."""
        return [name.identity for name in self._store.names() if name.kind == KIND]
