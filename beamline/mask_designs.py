"""Pattern sets for mask plates, and the two plates of the paper.

The plates are those of A.-X. Zhang et al., "Computational x-ray ghost imaging": copper on laminate, 32x32 pixels of
150 um, modulation depth 75 %; gold on silica, 64x64 pixels of 10 um, modulation depth 83 %. What etching does to the
edges is the business of whoever measures or simulates a plate: a design is nominal.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from beamline.mask_plate import MaskPlate, MaskPlateError

COPPER_PIXEL_UM = 150.0
COPPER_DEPTH = 0.75
GOLD_PIXEL_UM = 10.0
GOLD_DEPTH = 0.83


def hadamard(size: int, order: Literal["sequency", "natural"] = "sequency") -> np.ndarray:
    """Make all two-dimensional Hadamard patterns of one size.

    Parameters
    ----------
    size : int
        Rows and columns of a pattern; a power of two.
    order : {"sequency", "natural"}
        From coarse to fine (by the sum of the sequencies along y and x; among equals the most isotropic first), or
        that of Sylvester's construction.

    Returns
    -------
    array, shape (size**2, size, size), float32
        1 where the Hadamard matrix has +1, 0 where it has -1. In either order the first pattern is all ones.
    """
    if not isinstance(size, (int, np.integer)) or size < 1 or size & (size - 1):
        raise MaskPlateError(f"Hadamard patterns need a size that is a power of two, not {size!r}")
    if order not in ("sequency", "natural"):
        raise MaskPlateError(f"unknown order {order!r} of Hadamard patterns: choose 'sequency' or 'natural'")
    walsh = np.ones((1, 1), dtype=np.int8)
    while len(walsh) < size:
        walsh = np.block([[walsh, walsh], [walsh, -walsh]])
    rows, columns = np.divmod(np.arange(size * size), size)
    if order == "sequency":
        changes = np.count_nonzero(np.diff(walsh, axis=1), axis=1)
        walsh = walsh[np.argsort(changes)]
        order_2d = np.lexsort((rows, np.abs(rows - columns), rows + columns))
        rows, columns = rows[order_2d], columns[order_2d]
    patterns = walsh[rows][:, :, None] * walsh[columns][:, None, :]
    return (patterns > 0).astype(np.float32)


def random_binary(num: int, size: int, seed: int) -> np.ndarray:
    """Make patterns whose pixels are open or opaque with equal chance.

    Parameters
    ----------
    num : int
        How many patterns. The first ones do not depend on how many follow.
    size : int
        Rows and columns of a pattern.
    seed : int
        Seed of the random generator.

    Returns
    -------
    array, shape (num, size, size), float32
        Ones and zeros.
    """
    _check_counts(num, size)
    draws = np.random.default_rng(seed).random((num, size, size), dtype=np.float32)
    return (draws < 0.5).astype(np.float32)


def half_gaussian(num: int, size: int, seed: int) -> np.ndarray:
    """Make grey patterns whose pixels follow a half-normal distribution.

    Parameters
    ----------
    num : int
        How many patterns. The first ones do not depend on how many follow.
    size : int
        Rows and columns of a pattern.
    seed : int
        Seed of the random generator.

    Returns
    -------
    array, shape (num, size, size), float32
        Absolute values of normal numbers with a standard deviation of 1/3, cut at 1 (0.3 % of the pixels), so that
        a transmission stays a transmission.
    """
    _check_counts(num, size)
    draws = np.random.default_rng(seed).standard_normal((num, size, size), dtype=np.float32)
    return np.minimum(np.abs(draws) / np.float32(3), np.float32(1))


def make_plate(
    name: str,
    patterns: np.ndarray,
    pixel_size_um: float,
    gap_um: float | None = None,
    modulation_depth: float = GOLD_DEPTH,
) -> MaskPlate:
    """Lay patterns out on a plate.

    Parameters
    ----------
    name : str
        What people call the plate.
    patterns : array, shape (M, H, W)
        1 for open pixels, 0 for opaque ones.
    pixel_size_um : float
        Edge of one pixel in um.
    gap_um : float, optional
        Frame between neighbouring masks in um. Default: four pixels, so that a stage that is a pixel off does not
        show the neighbour.
    modulation_depth : float
        (Dmax - Dmin) / Dmax of the paper, 0 to 1: an opaque pixel transmits one minus this.

    Returns
    -------
    MaskPlate
        On a near-square grid centred on the stage's zero. Every second row runs backwards, so that the next mask is
        always a neighbour and a scan in plate order makes no long moves.
    """
    patterns = np.asarray(patterns, dtype=np.float32)
    if patterns.ndim != 3 or 0 in patterns.shape:
        raise MaskPlateError(f"patterns must have the shape (masks, rows, columns), not {patterns.shape}")
    if not 0 < modulation_depth <= 1:
        raise MaskPlateError(f"modulation_depth must be above 0 and at most 1, not {modulation_depth!r}")
    gap = 4 * pixel_size_um if gap_um is None else gap_um
    if not gap >= 0:
        raise MaskPlateError(f"gap_um must not be negative, not {gap_um!r}")
    num, height, width = patterns.shape
    columns = int(np.ceil(np.sqrt(num)))
    row, column = np.divmod(np.arange(num), columns)
    column = np.where(row % 2, columns - 1 - column, column)
    grid = np.stack([row - row.max() / 2, column - (columns - 1) / 2], axis=1)
    pitch_mm = (np.array([height, width]) * pixel_size_um + gap) / 1000.0
    transmission = 1 - modulation_depth + modulation_depth * patterns
    return MaskPlate(name, np.clip(transmission, 0, 1), grid * pitch_mm, pixel_size_um)


def copper_plate() -> MaskPlate:
    """Make the copper plate: the 1024 Hadamard patterns of 32x32 pixels of 150 um, depth 75 %."""
    return make_plate("copper", hadamard(32), COPPER_PIXEL_UM, modulation_depth=COPPER_DEPTH)


def gold_plate(design: Literal["hadamard", "random"] = "hadamard", num: int | None = None, seed: int = 0) -> MaskPlate:
    """Make the gold plate: 64x64 pixels of 10 um, depth 83 %.

    Parameters
    ----------
    design : {"hadamard", "random"}
        Hadamard patterns in sequency order, or random binary ones.
    num : int, optional
        How many masks. Default: all 4096 Hadamard patterns, or 1024 random ones.
    seed : int
        Seed of the random patterns.
    """
    if design == "hadamard":
        patterns = hadamard(64)
        if num is not None:
            _check_counts(num, 64)
            if num > len(patterns):
                raise MaskPlateError(f"there are {len(patterns)} Hadamard patterns of 64x64 pixels, not {num}")
            patterns = patterns[:num]
        name = "gold"
    elif design == "random":
        patterns = random_binary(1024 if num is None else num, 64, seed)
        name = "gold-random"
    else:
        raise MaskPlateError(f"unknown design {design!r} of the gold plate: choose 'hadamard' or 'random'")
    return make_plate(name, patterns, GOLD_PIXEL_UM, modulation_depth=GOLD_DEPTH)


def _check_counts(num: int, size: int) -> None:
    for what, value in (("num", num), ("size", size)):
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
            raise MaskPlateError(f"{what} must be a whole number of at least 1, not {value!r}")
