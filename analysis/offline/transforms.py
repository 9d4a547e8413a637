"""Single-pixel data as coefficients of a transform: the mask of each coefficient, and whether coefficients can be of it.

The mask of coefficient (i, j) is the outer product of function i along y and function j along x. Hadamard functions are +1 and
-1, in the order of Sylvester's construction (natural), of the number of changes of sign (sequency, Walsh's order), or of Paley
(dyadic): W. K. Pratt, J. Kane and H. C. Andrews, Proceedings of the IEEE 57, 58 (1969). Wavelets are those of PyWavelets
with periodic borders, in the nested layout of `analysis.offline.haar`; `db2:3` has three levels, others have as many as leave an
approximation of 8x8. PyWavelets' own Haar wavelet is `db1`: its details have the other sign.
"""

from __future__ import annotations

import numpy as np

from analysis.ghost.likeness import roughness
from analysis.ghost.orders import hadamard_places
from analysis.offline.haar import COARSEST, haar_masks, nested_masks

HAAR, NATURAL, SEQUENCY, DYADIC = "haar", "hadamard", "hadamard-sequency", "hadamard-dyadic"
_OTHER_HAAR = "db1"
_PLACES = {NATURAL: "natural", SEQUENCY: "sequency", DYADIC: "dyadic"}
_OTHER_NAMES = {
    "walsh": SEQUENCY,
    "hadamard-walsh": SEQUENCY,
    "walsh-hadamard": SEQUENCY,
    "hadamard-natural": NATURAL,
    "hadamard-paley": DYADIC,
    "paley": DYADIC,
    "legall": "bior2.2",
    "legall5.3": "bior2.2",
    "cdf5/3": "bior2.2",
    "cdf9/7": "bior4.4",
}
LARGEST = 128
"""16384 masks of 128x128 pixels are a quarter of a gigabyte as whole numbers, one in single precision."""

_FAR_ROUGHER = 1.15
"""An image that is so much rougher than in another order is in the wrong one."""

_NEARLY, _OF_ZERO_AND_ONE = 0.98, 0.25
"""How near the first coefficient is to the largest; least part of it that is usual if masks are 0 and 1: it is a half then."""

_DARK, _FAR_DARKER, _TOO_DARK = 0.02, 4.0, 0.1
"""An image that is so far below zero, and so much further than that of another transform, is of the wrong one; whatever others
give, one so far below zero is.
"""

UNKNOWN = "another transform"
"""What coefficients may be of if no transform fits."""


def transform_named(name: str) -> str:
    """The name that is used here for a transform.

    Raises
    ------
    ValueError
        If there is none of this name; the message lists what there is.
    """
    import pywt

    plain, _, levels = name.strip().lower().replace("_", "-").replace(" ", "-").partition(":")
    plain = _OTHER_NAMES.get(plain, plain)
    known = plain in (HAAR, *pywt.wavelist(kind="discrete"))
    if known and levels.isdecimal():
        return f"{plain}:{int(levels)}"
    if levels or not (known or plain in _PLACES):
        raise ValueError(
            f"there is no transform {name!r}: choose {HAAR}, {NATURAL} (natural order), {SEQUENCY}, {DYADIC}, legall, or a "
            "wavelet of PyWavelets such as db2 or bior4.4, with its number of levels if the coarsest are not 8x8, db2:4"
        )
    return plain


def coarsest(name: str, size: int) -> int:
    """Pixels along an axis of the approximation of a transform, as `transform_named` returns it.

    Raises
    ------
    ValueError
        If an image of this size has not so many levels.
    """
    _, _, levels = name.partition(":")
    if not levels:
        return COARSEST
    if not size >> int(levels):
        raise ValueError(f"{size} pixels have at most {size.bit_length() - 1} levels, not {levels}")
    return size >> int(levels)


def transform_masks(name: str, size: int) -> np.ndarray:
    """The mask of every coefficient, (size * size, size, size); mask i belongs to coefficient divmod(i, size).

    Parameters
    ----------
    name : str
        As `transform_named` returns it.
    size : int
        Pixels along an axis, a power of two.

    Returns
    -------
    array
        int8 for Hadamard masks, else float32.
    """
    wavelet = name.partition(":")[0]
    if wavelet == HAAR:
        return haar_masks(size, coarsest(name, size))
    if name.startswith("hadamard"):
        walsh = hadamard_functions(size, name)
        masks = np.empty((size, size, size, size), np.int8)
        for row in range(size):
            masks[row] = walsh[row][None, :, None] * walsh[:, None, :]
        return masks.reshape(size * size, size, size)
    return nested_masks(_functions_of_wavelet(wavelet, size, coarsest(name, size)))


def hadamard_functions(size: int, order: str) -> np.ndarray:
    """The one-dimensional Hadamard functions in an order, int8 (size, size) of +1 and -1."""
    from scipy.linalg import hadamard

    natural = hadamard(size, dtype=np.int8)
    return np.asarray(natural[hadamard_places(size)[_PLACES[order]]])


def of_zero_and_one(coefficients: np.ndarray) -> bool:
    """Whether Hadamard coefficients (N, N) are buckets of masks of 0 and 1: usually half of the first, not about zero."""
    usual = float(np.nanmedian(coefficients))
    return bool(coefficients[0, 0] >= _NEARLY * np.nanmax(np.abs(coefficients)) and usual > _OF_ZERO_AND_ONE * coefficients[0, 0])


def unlikely(coefficients: np.ndarray, name: str) -> str | None:
    """Which other transform coefficients (N, N) of an object that is nowhere negative are far more likely of.

    None if the stated one fits, `UNKNOWN` if none does.

    In the wrong transform the image is negative in places. Where two differ by a rearrangement of pixels, as the orders of
    Hadamard masks and the sign of Haar's details, the rougher image is of the wrong one.
    """
    known = np.nan_to_num(coefficients.astype(np.float64), posinf=0.0, neginf=0.0)
    images = {one: _image(known, one) for one in (name, *_others(name, len(known)))}
    dark = {one: _darkness(image) for one, image in images.items()}
    least = min(dark.values())
    rough = dict(zip(images, np.nan_to_num(roughness(np.stack(list(images.values())))).tolist(), strict=True))
    if dark[name] > _FAR_DARKER * least + _DARK:
        return min((one for one in images if dark[one] < 2 * least + _DARK / 4), key=lambda one: rough[one])
    if dark[name] > _TOO_DARK:
        return UNKNOWN
    alike = [one for one in images if _kind(one) == _kind(name)]
    best = min(alike, key=lambda one: rough[one])
    return best if rough[name] > _FAR_ROUGHER * rough[best] else None


def _others(name: str, size: int) -> list[str]:
    """Transforms that others may mean: Hadamard's orders, Haar's both signs and the wavelet itself, with any number of levels."""
    wavelets = dict.fromkeys((HAAR, _OTHER_HAAR, *([] if name in _PLACES else [name.partition(":")[0]])))
    usual = (size // COARSEST).bit_length() - 1
    levels = [f":{number}" if number != usual else "" for number in range(1, size.bit_length())]
    return [one for one in (*_PLACES, *(f"{wavelet}{level}" for wavelet in wavelets for level in levels)) if one != name]


def _kind(name: str) -> str:
    """The same for transforms that differ by a rearrangement of pixels."""
    wavelet, _, levels = name.partition(":")
    return NATURAL if name in _PLACES else f"{HAAR if wavelet == _OTHER_HAAR else wavelet}:{levels}"


def _image(coefficients: np.ndarray, name: str) -> np.ndarray:
    """The image (N, N) of coefficients, by the inverse transform."""
    import pywt

    size = len(coefficients)
    if name in _PLACES:
        functions = hadamard_functions(size, name).astype(np.float64)
        return np.asarray(functions.T @ coefficients @ functions)
    wavelet = name.partition(":")[0]
    scale = coarsest(name, size)
    parts: list = [coefficients[:scale, :scale]]
    sign = -1.0 if wavelet == HAAR else 1.0
    while scale < size:
        fine = slice(scale, 2 * scale)
        parts.append((sign * coefficients[fine, :scale], sign * coefficients[:scale, fine], coefficients[fine, fine]))
        scale *= 2
    return np.asarray(pywt.waverec2(parts, _OTHER_HAAR if wavelet == HAAR else wavelet, mode="periodization"))


def _darkness(image: np.ndarray) -> float:
    """Power of what is below zero, relative to that of all deviations from the mean."""
    power = float(np.sum((image - image.mean()) ** 2))
    return float(np.sum(np.minimum(image, 0.0) ** 2)) / power if power > 0 else 0.0


def zero_scales(coefficients: np.ndarray, scale: int = COARSEST) -> list[int]:
    """The scales, from the coarsest, of a nested layout (N, N) whose details are all exactly 0: [s] for those beside [:s, :s]."""
    size, found = len(coefficients), []
    while scale < size:
        block = coefficients[: 2 * scale, : 2 * scale].copy()
        block[:scale, :scale] = 0
        if not block.any():
            found.append(scale)
        scale *= 2
    return found


def _functions_of_wavelet(name: str, size: int, scale: int) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    """Mean and detail functions (s, size) of each scale s from the coarsest, by which coefficients follow from an image."""
    import pywt

    mean, functions = np.eye(size), {}
    while len(mean) > scale:
        mean, detail = pywt.dwt(mean, name, mode="periodization", axis=0)
        functions[len(mean)] = mean, detail
    return functions or {scale: (mean, mean)}
