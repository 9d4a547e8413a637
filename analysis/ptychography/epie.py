"""The extended ptychographical iterative engine: object and probe from one frame after the other.

Maiden and Rodenburg, Ultramicroscopy 109, 1256 (2009), equations 3 to 5; several modes of the probe after Thibault and
Menzel, Nature 494, 68 (2013). A frame of a moving sample is the incoherent sum over places along its path, each with
the same share of the exposure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from analysis.ptychography.backend import Backend
from analysis.ptychography.geometry import Geometry
from analysis.ptychography.positions import Shift
from analysis.ptychography.workspace import Workspace

_EXPLODED = 1e3  # times the power in the frames


@dataclass(frozen=True, eq=False)
class Frames:
    """Frames prepared for ePIE: square roots of counts, and the positions of the sample.

    Attributes
    ----------
    amplitude : array, float32, (B, H, W)
        On the device, with zero frequency at [0, 0] in the far field; below 0 where nothing was measured.
    complete : ndarray, bool, (B,)
        Whether all pixels of a frame were measured.
    counts : ndarray, float64, (B,)
        Measured counts of each.
    paths : list of ndarray, float64, (S, 2)
        For each frame, the first row and column of the object at the places along its path, in pixels. They are rounded when
        they are used.
    """

    amplitude: Any
    complete: np.ndarray
    counts: np.ndarray
    paths: list[np.ndarray]

    def __len__(self) -> int:
        return len(self.paths)

    def moved(self, shifts: np.ndarray) -> Frames:
        """The same frames, each displaced by (B, 2) pixels."""
        paths = [path + shift for path, shift in zip(self.paths, shifts, strict=True)]
        return Frames(self.amplitude, self.complete, self.counts, paths)


def joined(parts: list[Frames]) -> Frames:
    """Frames of several blocks as one."""
    if len(parts) == 1:
        return parts[0]
    amplitudes: list[Any] = [part.amplitude for part in parts]
    if isinstance(amplitudes[0], np.ndarray):
        amplitude: Any = np.concatenate(amplitudes)
    else:
        import torch

        amplitude = torch.cat(amplitudes)
    return Frames(
        amplitude,
        np.concatenate([part.complete for part in parts]),
        np.concatenate([part.counts for part in parts]),
        [path for part in parts for path in part.paths],
    )


class Epie:
    """Object and probe, and their iterative improvement.

    Parameters
    ----------
    geometry : Geometry
    canvas : (rows, columns)
        Pixels of the object.
    probe : ndarray, complex64, (M, H, W)
        Initial modes.
    backend : Backend
    """

    def __init__(self, geometry: Geometry, canvas: tuple[int, int], probe: np.ndarray, backend: Backend) -> None:
        self.backend = backend
        self._geometry = geometry
        self.object = backend.asarray(np.ones(canvas, dtype=np.complex64))
        self._propagator = geometry.propagator(backend)
        # In these units the propagated wave is the square root of counts, and needs no factor.
        self._probe = backend.asarray((probe / self._propagator.gain).astype(np.complex64))
        self._workspaces: dict[int, Workspace] = {}

    @property
    def probe(self) -> np.ndarray:
        """The modes, complex64 (M, H, W); their squared modulus is in counts."""
        return self.backend.numpy(self._probe) * np.float32(self._propagator.gain)

    def update(self, frames: Frames, order: np.ndarray, step: float, *, probe_step: float | None = None) -> np.ndarray:
        """Improve object and probe with some frames, in the given order.

        Parameters
        ----------
        frames : Frames
        order : ndarray, int64, (n,)
            Indices of the frames, one after the other.
        step : float
            Fraction of the update that a frame requires, 0 to 1.
        probe_step : float, optional
            The same for the probe; by default as for the object. 0 keeps the probe fixed.

        Returns
        -------
        ndarray, float64, (n,)
            Squared error of the amplitudes of each frame, over its counts, before its update.

        Raises
        ------
        ValueError
            If the power of the probe diverges.
        """
        return self._update(frames, order, step, step if probe_step is None else probe_step, None)

    def update_and_locate(self, frames: Frames, order: np.ndarray, step: float) -> tuple[np.ndarray, np.ndarray]:
        """The same; also return the shift that each frame requires, float64 (n, 2), pixels, in their order."""
        shifts = np.zeros((len(frames), 2))
        return self._update(frames, order, step, step, shifts), shifts

    def _update(self, frames: Frames, order: np.ndarray, step: float, probe_step: float, shifts: np.ndarray | None) -> np.ndarray:
        gain = self._propagator.gain
        object_step = step / float((abs(self._probe) ** 2).sum(0).max()) / gain**2
        probe_step = probe_step / float(abs(self.object).max()) ** 2 / gain**2
        missed = self.backend.empty((len(order),), np.float32)
        for turn, index in enumerate(order.tolist()):
            places = self._places(frames.paths[index])
            work = self._workspaces.get(len(places))
            if work is None:
                work = Workspace(self.backend, self._propagator, self._geometry.shape, len(self._probe), len(places))
                self._workspaces[len(places)] = work
            shift = None if shifts is None else Shift(gain)
            missed[turn] = work.step(
                self.object, self._probe, frames.amplitude[index], bool(frames.complete[index]), places,
                object_step, probe_step, shift,
            )  # fmt: skip
            if shifts is not None and shift is not None:
                shifts[index] = shift.pixels
        self._refuse_explosion(float(frames.counts.max(initial=0.0)))
        return self.backend.numpy(missed).astype(np.float64) / np.maximum(frames.counts[order], 1.0)

    def _places(self, path: np.ndarray) -> list[list[int]]:
        """First row and column at each place of the path, limited to the object."""
        most = [size - side for size, side in zip(self.object.shape, self._geometry.shape, strict=True)]
        return [[min(max(round(at), 0), end) for at, end in zip(place, most, strict=True)] for place in path.tolist()]

    def _refuse_explosion(self, counts: float) -> None:
        power = float((abs(self._probe) ** 2).sum()) * self._propagator.gain**2
        if not power < _EXPLODED * max(counts, 1.0):
            raise ValueError(
                f"the probe's power has grown to {power:.3g} where a frame has {counts:.3g} counts: positions, distances, the "
                "orientation or the first probe don't fit the frames"
            )

    def orthogonalise(self) -> None:
        """Replace the modes of the probe by orthogonal ones with the same total intensity, the strongest first."""
        modes = len(self._probe)
        if modes == 1:
            return
        probe = self.backend.numpy(self._probe)
        flat = probe.reshape(modes, -1).astype(np.complex128)
        _, mixing = np.linalg.eigh(flat.conj() @ flat.T)
        self._probe[...] = self.backend.asarray((mixing[:, ::-1].T @ flat).reshape(probe.shape).astype(np.complex64))
