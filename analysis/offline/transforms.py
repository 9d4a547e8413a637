"""Single-pixel data as coefficients of a transform: the mask of each coefficient, and whether coefficients can be of it.

The mask of coefficient (i, j) is the outer product of function i along y and function j along x. Hadamard functions are +1 and
-1, in the order of Sylvester's construction (natural), of the number of changes of sign (sequency, Walsh's order), or of Paley
(dyadic): W. K. Pratt, J. Kane and H. C. Andrews, Proceedings of the IEEE 57, 58 (1969). Wavelets are those of PyWavelets
with periodic borders, in the nested layout of `analysis.offline.haar`.
"""

from __future__ import annotations

import numpy as np

from analysis.ghost.likeness import roughness
from analysis.ghost.orders import hadamard_places
from analysis.offline.haar import COARSEST, haar_masks, nested_masks

HAAR, NATURAL, SEQUENCY, DYADIC = "haar", "hadamard", "hadamard-sequency", "hadamard-dyadic"
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

_NEARLY, _FEW_BELOW, _MANY_BELOW = 0.98, 0.01, 0.1
"""How near the first coefficient is to the largest; part of the power of the coarsest that is of negative ones."""


def transform_named(name: str) -> str:
    """The name that is used here for a transform.

    Raises
    ------
    ValueError
        If there is none of this name; the message lists what there is.
    """
    import pywt

    plain = name.strip().lower().replace("_", "-").replace(" ", "-")
    plain = _OTHER_NAMES.get(plain, plain)
    if plain not in (HAAR, NATURAL, SEQUENCY, DYADIC, *pywt.wavelist(kind="discrete")):
        raise ValueError(
            f"there is no transform {name!r}: choose {HAAR}, {NATURAL} (natural order), {SEQUENCY}, {DYADIC}, legall, or a "
            "wavelet of PyWavelets such as db2 or bior4.4"
        )
    return plain


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
    if name == HAAR:
        return haar_masks(size)
    if name.startswith("hadamard"):
        walsh = hadamard_functions(size, name)
        masks = np.empty((size, size, size, size), np.int8)
        for row in range(size):
            masks[row] = walsh[row][None, :, None] * walsh[:, None, :]
        return masks.reshape(size * size, size, size)
    return nested_masks(_functions_of_wavelet(name, size))


def hadamard_functions(size: int, order: str) -> np.ndarray:
    """The one-dimensional Hadamard functions in an order, int8 (size, size) of +1 and -1."""
    from scipy.linalg import hadamard

    natural = hadamard(size, dtype=np.int8)
    return np.asarray(natural[hadamard_places(size)[_PLACES[order]]])


def unlikely(coefficients: np.ndarray, name: str) -> str | None:
    """Which other transform coefficients (N, N) of an object that is nowhere negative are far more likely of; None if of none.

    Of Hadamard masks the first coefficient, the sum of the object, is the largest, and the coarsest have both signs; the coarsest
    of wavelets are local means, and so not negative. Orders of Hadamard masks are told by how rough the image is.
    """
    known = np.nan_to_num(coefficients.astype(np.float64), posinf=0.0, neginf=0.0)
    coarse = known[:COARSEST, :COARSEST]
    below = float(np.sum(np.minimum(coarse, 0) ** 2)) / max(float(np.sum(coarse**2) - coarse[0, 0] ** 2), 1e-300)
    largest_first = coarse[0, 0] >= _NEARLY * np.abs(known).max() > 0
    if name.startswith("hadamard"):
        if below < _FEW_BELOW and not largest_first:
            return HAAR
        rough = _roughness_by_order(known)
        best = min(rough, key=lambda order: rough[order])
        return best if rough[name] > _FAR_ROUGHER * rough[best] else None
    if largest_first and below > _MANY_BELOW:
        rough = _roughness_by_order(known)
        return min(rough, key=lambda order: rough[order])
    return None


def _roughness_by_order(coefficients: np.ndarray) -> dict[str, float]:
    """How rough the image of Hadamard coefficients is in each order."""
    images = np.stack([_product(coefficients, hadamard_functions(len(coefficients), order)) for order in _PLACES])
    return dict(zip(_PLACES, np.nan_to_num(roughness(images)).tolist(), strict=True))


def zero_scales(coefficients: np.ndarray) -> list[int]:
    """The scales of a nested layout (N, N) whose details are all exactly 0: [s] for the blocks beside [:s, :s]."""
    size, found = len(coefficients), []
    scale = COARSEST
    while scale < size:
        block = coefficients[: 2 * scale, : 2 * scale].copy()
        block[:scale, :scale] = 0
        if not block.any():
            found.append(scale)
        scale *= 2
    return found


def _functions_of_wavelet(name: str, size: int) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    """Mean and detail functions (s, size) of each scale s, by which coefficients follow from an image."""
    import pywt

    mean, functions = np.eye(size), {}
    while len(mean) > COARSEST:
        mean, detail = pywt.dwt(mean, name, mode="periodization", axis=0)
        functions[len(mean)] = mean, detail
    return functions or {COARSEST: (mean, mean)}


def _product(coefficients: np.ndarray, walsh: np.ndarray) -> np.ndarray:
    functions = walsh.astype(np.float64)
    return np.asarray(functions.T @ coefficients @ functions)
