"""Filtered back-projection."""

from __future__ import annotations

import numpy as np
import scipy.fft
import torch


def fbp(sinograms: np.ndarray, angles_deg: np.ndarray, centre: float, size: int, device: str = "cpu") -> np.ndarray:
    """Slices (Z, N, N) of sinograms (Z, views, bins), float32, in attenuation per pixel.

    Kak and Slaney, Principles of Computerized Tomographic Imaging (1988), eq. 3.2: each view is filtered by the ramp, and spread
    back between two bins. A view counts as much as the angle that it stands for, so that any order and spacing will do.

    Parameters
    ----------
    sinograms : ndarray, (Z, views, bins)
        Line integrals.
    angles_deg : ndarray, (views,)
    centre : float
        Where the axis of rotation lies on the detector, in bins.
    size : int
        N, pixels along each side of a slice.
    device : str
        "cpu", or a device of torch.
    """
    angles = np.deg2rad(angles_deg)
    filtered = ramp_filtered(sinograms) * angular_weights(angles_deg).astype(np.float32)[:, None]
    # A bin without light on each side: rays beside the detector.
    padded = torch.from_numpy(np.pad(filtered, [(0, 0), (0, 0), (1, 2)])).to(device)
    bins = sinograms.shape[-1]
    from_axis = torch.arange(size, dtype=torch.float32, device=device) - (size - 1) / 2
    slices = torch.zeros(len(sinograms), size * size, device=device)
    for view, angle in enumerate(angles):
        place = from_axis[None, :] * float(np.cos(angle)) + from_axis[:, None] * float(np.sin(angle)) + (centre + 1)
        place = place.clamp_(0, bins + 1).reshape(-1)
        lower = place.to(torch.int32)
        fraction = place.sub_(lower)
        of_view = padded[:, view]
        below, above = of_view.index_select(1, lower), of_view.index_select(1, lower.add_(1))
        slices += torch.lerp(below, above, fraction)
    return np.asarray(slices.cpu().numpy().reshape(-1, size, size))


def ramp_filtered(sinograms: np.ndarray) -> np.ndarray:
    """Rows (..., bins) filtered by |frequency|, float32; by the transform of its band-limited kernel, which keeps the mean right.

    Kak and Slaney, eq. 3.29.
    """
    bins = sinograms.shape[-1]
    length = scipy.fft.next_fast_len(2 * bins, real=True)
    place = np.minimum(np.arange(length), length - np.arange(length))
    kernel = np.zeros(length)
    kernel[0] = 0.25
    odd = place % 2 == 1
    kernel[odd] = -1 / (np.pi * place[odd]) ** 2
    spectrum = scipy.fft.rfft(sinograms.astype(np.float32), length) * scipy.fft.rfft(kernel).real.astype(np.float32)
    return np.asarray(scipy.fft.irfft(spectrum, length)[..., :bins], dtype=np.float32)


def angular_weights(angles_deg: np.ndarray) -> np.ndarray:
    """The angle (rad) that each view (views,) stands for: half the way to its neighbours on both sides, pi in all.

    A view from behind is the same as one from the front. Views at the same angle share its part. Where a wedge of more than
    a few steps was not measured, nobody stands for it.
    """
    turned = np.mod(angles_deg, 180.0)
    places, member, number = np.unique(np.round(turned, 6), return_inverse=True, return_counts=True)
    gaps = np.diff(places, append=places[0] + 180.0)
    gaps = np.minimum(gaps, 4 * np.median(gaps))
    return np.asarray(np.deg2rad((gaps + np.roll(gaps, 1)) / 2 / number)[member])
