"""Probes found by other reconstructions, as references under the hash of their content."""

from __future__ import annotations

from contextlib import closing

import numpy as np

from analysis.documents.log import LogReader, log_paths
from analysis.documents.references import Reference, ReferenceDiffers, ReferenceMissing, ReferenceName, ReferenceStore
from analysis.ptychography.geometry import Geometry

_SAME_PIXEL = 0.01  # relative: a larger difference would matter even for a first probe


def probe_reference(store: ReferenceStore, told: str) -> Reference:
    """The probe with this hash, or the probe of the finished reconstruction with this uid, which is then stored.

    Raises
    ------
    ValueError
        If there is none.
    """
    if len(told) == 64:
        try:
            return store.load(ReferenceName("probe", told))
        except (ReferenceMissing, ReferenceDiffers) as error:
            raise ValueError(f"the option probe of epie: {error}") from error
    reference = _found_by(store, told)
    store.save(reference)
    return reference


def first_probe(reference: Reference, geometry: Geometry, counts: float) -> np.ndarray:
    """A stored probe, complex64 (M, H, W), with the power of a scan's frames.

    Parameters
    ----------
    reference : Reference
    geometry : Geometry
        Geometry of the scan that is to be reconstructed.
    counts : float
        Mean counts of a frame.

    Raises
    ------
    ValueError
        If its pixels differ, or it is not a wave.
    """
    probe = reference.arrays["real"] + 1j * reference.arrays["imaginary"]
    name = f"the probe {reference.identity[:12]}"
    if probe.shape[1:] != geometry.shape:
        own, wanted = ("x".join(map(str, shape)) for shape in (probe.shape[1:], geometry.shape))
        raise ValueError(f"{name} has {own} pixels, the frames of this scan have {wanted}: choose a probe of such a scan")
    pixel = float(reference.attributes["pixel_um"])
    if not abs(pixel / geometry.pixel_um - 1) < _SAME_PIXEL:
        raise ValueError(
            f"{name} has pixels of {1e3 * pixel:.4g} nm, the object of this scan has {1e3 * geometry.pixel_um:.4g} nm: energy, "
            "distance or detector differ"
        )
    power = float((np.abs(probe) ** 2).sum())
    if not 0 < power < np.inf:
        raise ValueError(f"{name} is dark or not finite: choose another")
    return np.asarray(probe * np.sqrt(counts / power), dtype=np.complex64)


def _found_by(store: ReferenceStore, uid: str) -> Reference:
    start, final = None, None
    path = log_paths(store.state_dir).processed
    if path.exists():
        with closing(LogReader(path)) as log:
            for record in log.documents(uid):
                if record.damage is not None:
                    continue
                if record.name == "start":
                    start = record.doc
                elif record.name == "event" and record.doc["data"]["final"]:
                    final = record.doc["data"]
    if start is None:
        raise ValueError(
            f"the option probe of epie: there is no reconstruction {uid} here; give the uid of a derived run or a hash"
        )
    if final is None or "probe_amplitude" not in final:
        raise ValueError(f"the option probe of epie: reconstruction {uid} has found no probe, or isn't finished")
    amplitude, phase = (np.asarray(final[key], dtype=np.float64) for key in ("probe_amplitude", "probe_phase"))
    modes = np.stack(np.split(amplitude * np.exp(1j * phase), int(start["options"]["modes"]), axis=1)).astype(np.complex64)
    return Reference(
        "probe",
        {"real": modes.real.copy(), "imaginary": modes.imag.copy()},
        {"pixel_um": float(start["probe_pixel_um"])},
        name=f"found by {start['method']}",
        runs=(str(start["derived_from"]),),
    )
