"""Mask sets under the hash of their content: a local store that works while every server is down.

A run's start document names the hash; a reconstruction loads the masks by it and refuses a set that is missing or differs. The
archiver copies each set into Tiled's `masks` container.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from analysis.documents.private import private_folder


class MaskSetMissing(LookupError):
    """The store holds no mask set of this identity."""


class MaskSetDiffers(ValueError):
    """A stored mask set is not the one that its identity names."""


class MaskSetLike(Protocol):
    """Anything with a mask set's arrays: the plate of a beamline, an ingested set."""

    @property
    def name(self) -> str:
        """For people."""

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
        For people.
    patterns : ndarray, float32, (M, H, W)
        Transmission of every mask pixel (signed for differential acquisitions).
    positions_mm : ndarray, float64, (M, 2)
        Stage readings (y, x) that centre each mask in the beam.
    pixel_size_um : float
        Size of a mask pixel on the sample.
    """

    name: str
    patterns: np.ndarray
    positions_mm: np.ndarray
    pixel_size_um: float

    @property
    def identity(self) -> str:
        """sha256 of the content (the name is not part of it)."""
        header = json.dumps({"shape": list(self.patterns.shape), "pixel_size_um": float(self.pixel_size_um)}, sort_keys=True)
        digest = hashlib.sha256(header.encode())
        digest.update(np.ascontiguousarray(self.patterns, dtype="<f4").tobytes())
        digest.update(np.ascontiguousarray(self.positions_mm, dtype="<f8").tobytes())
        return digest.hexdigest()


class MaskStore:
    """Mask sets as `masks/<identity>.npz` below a state directory."""

    def __init__(self, state_dir: Path | str) -> None:
        self.folder = Path(state_dir) / "masks"

    def save(self, masks: MaskSetLike) -> str:
        """Store a mask set (once) and return its identity.

        Raises
        ------
        ValueError
            If the patterns are not (M, H, W), the positions not (M, 2), or a value is not finite.
        """
        mask_set = _checked(masks)
        identity = mask_set.identity
        path = self.path(identity)
        if not path.exists():
            private_folder(self.folder)
            # Written beside and renamed: a reader never sees half a file, nor does a crash leave one under the final name.
            with tempfile.NamedTemporaryFile(dir=self.folder, suffix=".part", delete=False) as file:
                np.savez_compressed(
                    file,
                    name=np.array(mask_set.name),
                    patterns=mask_set.patterns,
                    positions_mm=mask_set.positions_mm,
                    pixel_size_um=np.array(mask_set.pixel_size_um),
                )
                file.flush()
                os.fsync(file.fileno())
            os.replace(file.name, path)
        return identity

    def load(self, identity: str) -> MaskSet:
        """The mask set of this identity, its content checked against it.

        Raises
        ------
        MaskSetMissing
            If it isn't in the store.
        MaskSetDiffers
            If the file is damaged or holds another set.
        """
        path = self.path(identity)
        if not path.exists():
            raise MaskSetMissing(f"mask set {identity[:12]} is not in {self.folder}: save it there with MaskStore.save(masks)")
        try:
            # Opened here, since numpy leaves a damaged file open.
            with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
                mask_set = MaskSet(str(file["name"]), file["patterns"], file["positions_mm"], float(file["pixel_size_um"]))
        except Exception as error:  # a damaged file raises whatever its damage makes zipfile, zlib or numpy stumble over
            raise MaskSetDiffers(f"mask set file {path} cannot be read ({error}): delete it and save the masks again") from error
        if mask_set.identity != identity:
            raise MaskSetDiffers(f"mask set file {path} holds other masks than its name says: delete it and save the masks again")
        return mask_set

    def path(self, identity: str) -> Path:
        """Where a mask set of this identity lies."""
        if not (len(identity) == 64 and set(identity) <= set("0123456789abcdef")):
            raise MaskSetMissing(f"{identity!r} is not the identity of a mask set (64 hexadecimal digits)")
        return self.folder / f"{identity}.npz"

    def identities(self) -> list[str]:
        """The identities of all stored mask sets."""
        return sorted(path.stem for path in self.folder.glob("*.npz"))


def _checked(masks: MaskSetLike) -> MaskSet:
    patterns = np.ascontiguousarray(masks.patterns, dtype=np.float32)
    positions = np.ascontiguousarray(masks.positions_mm, dtype=np.float64)
    if patterns.ndim != 3 or 0 in patterns.shape:
        raise ValueError(f"mask set {masks.name!r}: patterns must be (M, H, W), not {patterns.shape}")
    if positions.shape != (len(patterns), 2):
        raise ValueError(f"mask set {masks.name!r}: positions_mm must be ({len(patterns)}, 2), not {positions.shape}")
    if not (np.isfinite(patterns).all() and np.isfinite(positions).all() and np.isfinite(masks.pixel_size_um)):
        raise ValueError(f"mask set {masks.name!r} holds values that are not finite")
    return MaskSet(str(masks.name), patterns, positions, float(masks.pixel_size_um))
