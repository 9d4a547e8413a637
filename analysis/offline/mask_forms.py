"""The names and forms that masks and buckets have in files, brought to masks (M, H, W) and buckets (M,) or pairs (M, 2).

Masks keep few bytes: whole numbers of a byte, and bits, stay what they are. Everything that is assumed is a remark.
"""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np

from analysis.offline.ingest_error import IngestError

KEYS = {
    "masks": ("masks", "patterns", "mask", "pattern"),
    "buckets": ("buckets", "bucket", "signal", "signals", "measurements", "intensities", "intensity"),
    "errors": ("errors",),
    "reference": ("reference",),
    "pixel_size_um": ("pixel_size_um",),
    "coefficients": ("coefficients",),
    "ccd": ("ccd",),
    "shape": ("shape",),
    "pairs": ("pairs",),
    "transform": ("transform",),
}
"""What is read, and the names that it may have."""

_PIECE = 2**22  # values looked at, at a time
_FEWEST_TO_COUNT = 16
_COLUMN = re.compile(r"(.+)\[(\d{1,6})\]")


def column_named(name: str) -> tuple[str, int | None]:
    """The name of a data set, and the column that brackets behind it choose, such as `signals[2]`; None without brackets."""
    found = _COLUMN.fullmatch(name)
    return (name, None) if found is None else (found[1], int(found[2]))


def bucket_columns(
    path: Path, key: str, values: np.ndarray, remarks: list[str], name: str | None = None, column: int | None = None
) -> np.ndarray:
    """Buckets, or their errors, as (M,), or (M, 2) for a mask and its complement each.

    Parameters
    ----------
    path : Path
        For messages.
    key : str
        What they are.
    values : array
        As in the file.
    remarks : list of str
        Gets what was assumed.
    name : str, optional
        Their name in the file, for messages.
    column : int, optional
        The one of several columns that counts, from 0.

    Raises
    ------
    IngestError
        If they have another shape.
    """
    told = f"{values.shape}"
    if values.ndim == 2 and values.shape[0] < values.shape[1]:
        values = values.T
    if column is not None:
        if values.ndim != 2 or column >= values.shape[1]:
            raise IngestError(f"{path}: {name} is {told}: it has no column {column}, counted from 0")
        return values[:, column]
    if values.ndim == 2 and values.shape[1] == 1:
        remarks.append(f"`{key}` is {told}: taken as one value after the other")
        return values[:, 0]
    if values.ndim == 2 and values.shape[1] == 2:
        counts = [_counts_on(values[:, 0]), _counts_on(values[:, 1])]
        if sum(counts) == 1:
            signal = counts.index(False)
            remarks.append(
                f"`{key}` is {told}, and column {1 - signal} always rises, like a number or a time: column {signal} is taken"
            )
            return values[:, signal]
        remarks.append(f"`{key}` is {told}: taken as the signals of each mask and of its complement")
        return values
    if values.ndim != 1:
        raise IngestError(
            f"{path}: `{key}` has the shape {told}: it must be (M,), or (M, 2) for each mask and its complement. "
            f"Choose one column, counted from 0, with --buckets '{name or key}[0]'"
        )
    return values


def _counts_on(column: np.ndarray) -> bool:
    """Whether each value is above the one before, which no signal of many masks is."""
    return len(column) >= _FEWEST_TO_COUNT and bool((np.diff(column) > 0).all())


def mask_stack(
    path: Path,
    masks: np.ndarray,
    numbers: tuple[int, ...],
    shape: tuple[int, int] | None,
    remarks: list[str],
    *,
    by_columns: bool = False,
) -> np.ndarray:
    """Masks as (M, H, W), from (M, H, W), (H, W, M), (M, H * W), (H * W, M), or bits of any of them.

    Axes of length 1 beside them count for nothing; (M, 2, H, W) and (2, M, H, W) are masks and their complements.

    Parameters
    ----------
    path : Path
        For messages.
    masks : array
        As in the file; of MATLAB with its order of axes.
    numbers : tuple of int
        How many masks there may be, by the number of buckets.
    shape : (H, W), optional
        Pixels of a mask, where that is known.
    remarks : list of str
        Gets what was assumed.
    by_columns : bool
        Whether the file is MATLAB's: pixels are then one column after the other, and what may be either has its masks last.

    Raises
    ------
    IngestError
        If no form fits.
    """
    if masks.ndim > 3:
        masks = _fewer_axes(masks, remarks)
    if masks.ndim == 1 and masks.dtype == np.uint8:
        return _from_one_row(path, masks, numbers, shape, remarks)
    if masks.ndim == 2:
        return _from_matrix(path, masks, numbers, shape, remarks, by_columns=by_columns)
    if masks.ndim != 3:
        raise IngestError(f"{path}: `masks` has the shape {masks.shape}: it must be (M, H, W), (H, W, M) or (M, H * W)")
    if masks.shape[2] in numbers and (by_columns or masks.shape[0] not in numbers):
        remarks.append(f"`masks` is {masks.shape}, of which the last axis counts masks: taken as (H, W, M)")
        masks = np.moveaxis(masks, -1, 0)
    elif masks.shape[0] == masks.shape[2]:
        remarks.append(f"`masks` is {masks.shape}: the first axis is taken to count masks")
    bits = shape is not None and masks.shape[1] * masks.shape[2] == shape[0] * -(-shape[1] // 8) != shape[0] * shape[1]
    if masks.dtype == np.uint8 and (bits or (shape is None and masks.shape[1] == 8 * masks.shape[2])):
        height, width = shape or (masks.shape[1], masks.shape[1])
        return _unpacked(masks, (height, width), remarks)
    if shape is not None and masks.shape[1:] != shape:
        raise IngestError(f"{path}: `masks` are {masks.shape[1]}x{masks.shape[2]} pixels, not {shape[0]}x{shape[1]} as was said")
    return masks


def lean(path: Path, masks: np.ndarray) -> np.ndarray:
    """Masks of finite real numbers in few bytes: bool, int8 and uint8 as they are, others in single precision.

    Raises
    ------
    IngestError
        If they are empty, no numbers, not finite, or zero everywhere.
    """
    if masks.dtype.kind not in "biuf":
        raise IngestError(f"{path}: `masks` is of type {masks.dtype}: it must hold real numbers")
    if masks.size == 0:
        raise IngestError(f"{path}: `masks` is empty, {masks.shape}: give at least one mask of at least one pixel")
    if masks.dtype not in (np.bool_, np.int8, np.uint8):
        with np.errstate(over="ignore"):  # too large a value becomes infinite, and is refused as such
            masks = _single(masks)
        step = max(1, _PIECE // math.prod(masks.shape[1:]))
        if not all(np.isfinite(masks[first : first + step]).all() for first in range(0, len(masks), step)):
            raise IngestError(
                f"{path}: `masks` holds NaN or infinite values: replace them, or leave out those masks and their buckets"
            )
    if not masks.any():
        raise IngestError(f"{path}: `masks` are zero everywhere: nothing can be seen through them")
    return masks


def _single(masks: np.ndarray) -> np.ndarray:
    """Masks in single precision, or in bytes if all are whole numbers that bytes hold."""
    low, high = masks.min(), masks.max()
    for small, least, most in ((np.uint8, 0, 255), (np.int8, -128, 127)):
        if least <= low and high <= most:
            rounded = masks.astype(small)
            if np.array_equal(rounded, masks):
                return rounded
    return masks.astype(np.float32, copy=False)


def _fewer_axes(masks: np.ndarray, remarks: list[str]) -> np.ndarray:
    """Masks without axes of length 1; masks and complements, if two axes still count them, one after the other."""
    told, masks = masks.shape, masks.squeeze()
    if masks.ndim == 4 and 2 in masks.shape[:2]:
        masks = masks.reshape(-1, *masks.shape[2:])
    remarks.append(f"`masks` is {told}: taken as {masks.shape}")
    return masks


def _from_one_row(
    path: Path, masks: np.ndarray, numbers: tuple[int, ...], shape: tuple[int, int] | None, remarks: list[str]
) -> np.ndarray:
    """Masks from the bits of all of them, one after the other without any gap."""
    for number in numbers:
        side = math.isqrt(8 * len(masks) // max(1, number))
        height, width = shape or (side, side)
        if number and len(masks) == -(-number * height * width // 8):
            remarks.append(
                f"`masks` holds {len(masks)} bytes in a row: taken as the bits of {number} masks of {height}x{width} pixels, the "
                "highest bit of a byte first (else --mend lowest-bit-first)"
            )
            return np.unpackbits(masks, count=number * height * width).reshape(number, height, width).view(bool)
    raise IngestError(
        f"{path}: `masks` is one row of {len(masks)} bytes: they are no bits of {' or '.join(map(str, numbers))} masks; give "
        "rows and columns with --shape"
    )


def _from_matrix(
    path: Path,
    masks: np.ndarray,
    numbers: tuple[int, ...],
    shape: tuple[int, int] | None,
    remarks: list[str],
    *,
    by_columns: bool = False,
) -> np.ndarray:
    told = f"`masks` is {masks.shape}"
    if masks.shape[1] in numbers and (by_columns or masks.shape[0] not in numbers):
        told += ", of which the last axis counts masks"
        masks = masks.T
    if masks.shape[0] not in numbers:
        raise IngestError(f"{path}: `masks` has the shape {masks.shape}: it must be (M, H, W), (H, W, M) or (M, H * W)")
    pixels = masks.shape[1]
    if shape is None and masks.dtype == np.uint8 and (side := math.isqrt(8 * pixels)) ** 2 == 8 * pixels and side > 1:
        return _unpacked(masks, (side, side), remarks)  # eight times as many pixels make a square, and these do not
    if shape is not None and masks.dtype == np.uint8 and pixels != shape[0] * shape[1]:
        return _unpacked(masks, shape, remarks)
    height, width = shape or (math.isqrt(pixels), math.isqrt(pixels))
    if height * width != pixels:
        sides = [f"{one}x{pixels // one}" for one in range(2, pixels // 2 + 1) if pixels % one == 0]
        raise IngestError(
            f"{path}: {told}, and {pixels} pixels are not {height}x{width}: say the shape with --shape, such as "
            f"{', '.join(sides[:12]) or f'1x{pixels}'}"
        )
    if by_columns:
        remarks.append(
            f"{told}: each mask is taken as {width} columns of {height} pixels, one column after the other as in MATLAB"
        )
        return masks.reshape(len(masks), width, height).swapaxes(1, 2)
    remarks.append(f"{told}: each mask is taken as {height} rows of {width} pixels, one row after the other")
    return masks.reshape(len(masks), height, width)


def _unpacked(masks: np.ndarray, shape: tuple[int, int], remarks: list[str]) -> np.ndarray:
    """Masks from bits, of which the highest in a byte is the first pixel; each row, or each mask, begins with a byte."""
    height, width = shape
    flat = masks.reshape(len(masks), -1)
    if flat.shape[1] not in (height * -(-width // 8), -(-height * width // 8)):
        raise ValueError(f"{flat.shape[1]} bytes are not a mask of {height}x{width} bits")
    remarks.append(
        f"`masks` holds bits, {masks.shape} bytes for masks of {height}x{width} pixels: the highest bit of a byte is taken as "
        "the first pixel (else --mend lowest-bit-first)"
    )
    if width % 8 and flat.shape[1] == height * -(-width // 8):
        return np.unpackbits(flat.reshape(len(flat), height, -1), axis=2, count=width).view(bool)
    return np.unpackbits(flat, axis=1, count=height * width).reshape(-1, height, width).view(bool)
