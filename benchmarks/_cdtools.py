"""The near-field scan with cdtools (Levitan et al., MIT licence), which is not among ghostbeam's requirements."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np

BATCH = 15  # frames per step, its default


def near_field_by_cdtools(path: Path, target: float, epochs: int) -> tuple[float, float, float]:
    """Frames/s, the smallest error of the amplitudes over the counts, and seconds to the target (NaN: never).

    Seconds are processor time. Raises ImportError if cdtools is not installed.
    """
    import torch
    from cdtools.datasets import Ptycho2DDataset
    from cdtools.models import FancyPtycho

    with np.load(path) as data:
        counts, good = data["diffraction"].astype(np.float32), data["mask"] == 0
        distance, focus, wavelength = (float(data[key]) for key in ("distance_m", "focus_to_sample_m", "wavelength_m"))
        basis, places = data["basis_vectors"].astype(np.float32), -data["translation_xyz_m"].astype(np.float32)
    dataset: Any = Ptycho2DDataset(
        places, counts, wavelength=wavelength, detector_geometry={"distance": distance, "basis": basis, "corner": None},
        mask=torch.from_numpy(good),
    )  # fmt: skip
    torch.manual_seed(0)
    model: Any = FancyPtycho.from_dataset(dataset, near_field=True, propagation_distance=focus, n_modes=1, obj_padding=10)
    # Only object and probe, as in ghostbeam's ePIE: no corrections of positions, background or counts.
    for name in ("translation_offsets", "background", "weights"):
        getattr(model, name).requires_grad = False
    spent, best, reached = 0.0, float("inf"), float("nan")
    began = time.process_time()
    for _ in model.Adam_optimize(epochs, dataset, batch_size=BATCH, lr=0.02, thread=False):
        spent += time.process_time() - began
        best = min(best, _error(model, dataset, counts, good))
        if best <= target and not reached < float("inf"):
            reached = spent
        began = time.process_time()
    return epochs * len(counts) / spent, best, reached


def _error(model: Any, dataset: Any, counts: np.ndarray, good: np.ndarray) -> float:
    import torch

    with torch.no_grad():
        (index, places), _ = dataset[:]
        made = model.forward(index, places).numpy()
    missed = (np.sqrt(np.maximum(made, 0)) - np.sqrt(counts)) ** 2 * good
    return float((missed.sum(axis=(1, 2)) / (counts * good).sum(axis=(1, 2))).mean())
