"""How good an image is: against a reference, against a second image of the same object, and by itself.

All take arrays (H, W), float or integer, and return plain floats: NaN if a pixel is NaN or infinite. What isn't an image of real
numbers is a ValueError. Nothing is fitted: an image with a wrong scale or offset is a worse image. Formulas are cited where there
is more than one usual form.
"""

from __future__ import annotations

import numpy as np


def mse(image: np.ndarray, reference: np.ndarray) -> float:
    """Return the mean squared error of `image` against `reference`."""
    image, reference = _pair(image, reference)
    return float(np.mean((image - reference) ** 2)) if _finite(image, reference) else float("nan")


def psnr(image: np.ndarray, reference: np.ndarray, data_range: float | None = None) -> float:
    """Return the peak signal-to-noise ratio in dB, 10 log10(data_range^2 / mse); inf for equal images.

    `data_range` is the span of values that a perfect image has: by default that of the reference.
    """
    image, reference = _pair(image, reference)
    error = mse(image, reference)
    if error == 0.0:
        return float("inf")
    return float(20 * np.log10(_range(reference, data_range) / np.sqrt(error)))


def ssim(image: np.ndarray, reference: np.ndarray, data_range: float | None = None) -> float:
    """Return the structural similarity index (Wang et al., IEEE TIP 13, 600, 2004), 1 for equal images.

    Gaussian windows of 1.5 pixels as published, narrower ones where the image is smaller than a window.
    `data_range` as in `psnr`.
    """
    from skimage.metrics import structural_similarity

    image, reference = _pair(image, reference)
    shortest = min(image.shape)
    if shortest < 3:
        raise ValueError(f"ssim needs images of 3 x 3 pixels or more, not {image.shape}")
    span = _range(reference, data_range)
    if not _finite(image, reference):
        return float("nan")
    # scikit-image truncates the window at 3.5 sigma and refuses images smaller than it
    sigma = min(1.5, (shortest - 1) // 2 / 3.5)
    return float(
        structural_similarity(
            image,
            reference,
            data_range=span,
            gaussian_weights=True,
            sigma=sigma,
            use_sample_covariance=False,
        )
    )


def frc(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the Fourier ring correlation of two images.

    FRC(ring) = Re sum F1 F2* / sqrt(sum |F1|^2 sum |F2|^2) over the Fourier pixels of a ring.

    Parameters
    ----------
    first, second : array, (H, W)
        Two images of one object. For a resolution, two that share no data and no processing: smoothing one image
        makes it agree with itself, not with the object.

    Returns
    -------
    frequency : float64 array, (rings,)
        Mean spatial frequency of each ring, cycles per pixel, up to 0.5; the constant is left out.
    correlation : float64 array, (rings,)
        0 where either image has no power; NaN if a pixel is NaN or infinite.
    number : int64 array, (rings,)
        Fourier pixels in each ring.
    """
    first, second = _pair(first, second)
    height, width = first.shape
    if _finite(first, second):
        first, second = (image / (np.abs(image).max() or 1.0) for image in (first, second))  # squares of any unit are finite
    else:
        first = second = np.full((height, width), np.nan)
    radius = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)[None, :])
    step = 1.0 / max(height, width)
    ring = np.rint(radius / step).astype(np.int64)
    rings = int(np.floor(0.5 / step + 1e-9)) + 1
    inside = (ring < rings) & (radius > 0)
    one, two = np.fft.fft2(first)[inside], np.fft.fft2(second)[inside]
    ring, radius = ring[inside], radius[inside]

    def summed(values: np.ndarray) -> np.ndarray:
        return np.bincount(ring, weights=values, minlength=rings)

    number = np.bincount(ring, minlength=rings)
    cross = summed((one * two.conj()).real)
    power = np.sqrt(summed(np.abs(one) ** 2) * summed(np.abs(two) ** 2))
    correlation = np.divide(cross, power, out=np.zeros(rings), where=power != 0)
    filled = number > 0
    return summed(radius)[filled] / number[filled], correlation[filled], number[filled]


def frc_resolution(first: np.ndarray, second: np.ndarray, threshold: str = "half-bit") -> float:
    """Return the resolution in pixels at which two images stop agreeing, 1 / (frequency of the first crossing).

    Parameters
    ----------
    first, second : array, (H, W)
        As in `frc`.
    threshold : {"half-bit", "1/7"}
        Half-bit: T = (0.2071 + 1.9102 / sqrt(n)) / (1.2071 + 0.9102 / sqrt(n)) for n Fourier pixels in a ring (van
        Heel and Schatz, J. Struct. Biol. 151, 250, 2005). 1/7: a constant.

    Returns
    -------
    float
        2, the Nyquist limit, if they agree everywhere; NaN if they don't even agree on the coarsest ring, if there is no ring,
        or if a pixel is NaN or infinite.
    """
    frequency, correlation, number = frc(first, second)
    if threshold == "half-bit":
        root = np.sqrt(number)
        limit = (0.2071 + 1.9102 / root) / (1.2071 + 0.9102 / root)
    elif threshold == "1/7":
        limit = np.full(len(number), 1 / 7)
    else:
        raise ValueError(f'threshold must be "half-bit" or "1/7", not {threshold!r}')
    # the limit of a ring of few pixels is near or above 1, so agreement itself is put just below it
    excess = correlation - np.minimum(limit, 1 - 1e-9)
    if len(excess) == 0 or np.isnan(excess).any():
        return float("nan")
    below = np.flatnonzero(excess < 0)
    if len(below) == 0:
        return 2.0
    ring = below[0]
    if ring == 0:
        return float("nan")
    share = excess[ring - 1] / (excess[ring - 1] - excess[ring])
    return float(1.0 / (frequency[ring - 1] + share * (frequency[ring] - frequency[ring - 1])))


def single_image_frc_resolution(image: np.ndarray, threshold: str = "1/7") -> float:
    """Return a resolution in pixels from one image alone, by FRC of the pixels of even and odd places on its diagonals.

    Koho et al., Nature Communications 10, 3103 (2019): the image is split like a chessboard into two pairs of half the size, the
    frequencies of which are those of the image divided by 2. **It tells how smooth an image is, as well as how well resolved**:
    noise that was blurred agrees with itself. Quote `frc_resolution` of two halves that were measured and processed apart.

    Returns
    -------
    float
        Pixels of the image given, from 4 (the Nyquist limit of the halves); NaN as in `frc_resolution`.
    """
    image = _image(image)
    height, width = (size - size % 2 for size in image.shape)
    if min(height, width) < 4:
        raise ValueError(f"an image of {image.shape} pixels is too small to be split: 4x4 are needed")
    even = [frc_resolution(image[:height:2, :width:2], image[1:height:2, 1:width:2], threshold)]
    even.append(frc_resolution(image[:height:2, 1:width:2], image[1:height:2, :width:2], threshold))
    return float(2 * np.mean(even))


def cnr(image: np.ndarray, bright: np.ndarray, dark: np.ndarray | None = None) -> float:
    """Return the contrast-to-noise ratio (<G1> - <G0>) / sqrt(var G1 + var G0).

    Parameters
    ----------
    image : array, (H, W)
    bright : bool array, (H, W)
        Pixels where the object transmits.
    dark : bool array, (H, W), optional
        Pixels where it doesn't; by default all others.

    Returns
    -------
    float
        Infinite for two different levels without noise, 0 for one level.
    """
    image, bright = _image(image), np.asarray(bright, dtype=bool)
    dark = ~bright if dark is None else np.asarray(dark, dtype=bool)
    if bright.shape != image.shape or dark.shape != image.shape:
        raise ValueError(f"bright and dark must have the image's shape {image.shape}")
    if not bright.any() or not dark.any():
        raise ValueError("cnr needs at least one bright and one dark pixel")
    ones, zeros = image[bright], image[dark]
    if not _finite(ones, zeros):
        return float("nan")
    contrast = float(ones.mean() - zeros.mean())
    noise = float(np.sqrt(ones.var() + zeros.var()))
    if noise == 0.0:
        return 0.0 if contrast == 0.0 else float(np.copysign(np.inf, contrast))
    return contrast / noise


def rsd(image: np.ndarray, region: np.ndarray | None = None) -> float:
    """Return the relative standard deviation, std / |mean|, over `region` (bool (H, W)) or the whole image."""
    values = _image(image)
    if region is not None:
        region = np.asarray(region, dtype=bool)
        if region.shape != values.shape or not region.any():
            raise ValueError(f"region must be a mask of the image's shape {values.shape} with at least one pixel")
        values = values[region]
    if not _finite(values):
        return float("nan")
    mean = float(np.abs(values.mean()))
    return float(values.std() / mean) if mean > 0 else float("inf")


def _pair(image: np.ndarray, reference: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    image, reference = _image(image), _image(reference)
    if image.shape != reference.shape:
        raise ValueError(f"two images of one shape (height, width) are needed, not {image.shape} and {reference.shape}")
    return image, reference


def _image(values: np.ndarray) -> np.ndarray:
    """Return an image as float64, or raise ValueError."""
    if np.ma.is_masked(values):
        raise ValueError("an image holds masked values: fill them first")
    image = np.asarray(values)
    if image.ndim != 2 or image.size == 0:
        raise ValueError(f"an image has two axes (height, width) and one pixel at least, not the shape {image.shape}")
    if image.dtype.kind not in "biuf":
        raise ValueError(f"an image is of real numbers, not {image.dtype}")
    return image.astype(np.float64)


def _finite(*images: np.ndarray) -> bool:
    return all(bool(np.isfinite(image).all()) for image in images)


def _range(reference: np.ndarray, data_range: float | None) -> float:
    if data_range is not None:
        if not 0 < data_range < np.inf:
            raise ValueError(f"data_range must be a number above 0, not {data_range!r}")
        return float(data_range)
    if not _finite(reference):
        return float("nan")
    span = float(reference.max() - reference.min())
    if span == 0:
        raise ValueError("the reference is constant: give data_range, the span of values that a perfect image has")
    return span
