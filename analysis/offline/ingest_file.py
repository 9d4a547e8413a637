"""Files with single-pixel data measured elsewhere.

Two forms are read, from any file that `analysis.offline.array_file` opens:

- `masks` and `buckets`, and perhaps `errors`, `reference` (H', W'), `pixel_size_um` (one number), `shape` (H, W) and `pairs`;
- `coefficients` (N, N), or (N, N, 2) of masks and complements, of the masks of a transform as `analysis.offline.transforms`
  describes them, and perhaps `transform` (its name, else Haar), `ccd` (H', W'), a picture for reference, and `pixel_size_um`.

Keys may be in any capitals and in groups. `analysis.offline.mask_forms` describes the shapes that masks may have.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from analysis.offline.array_file import ArrayFile, listing, open_arrays
from analysis.offline.haar import COARSEST, coarse_to_fine
from analysis.offline.ingest_error import IngestError
from analysis.offline.mask_forms import KEYS, bucket_columns, column_named, lean, mask_stack
from analysis.offline.mask_pairs import IN_TURN, complements, difference, in_pairs, likelier_order, places, signed
from analysis.offline.matlab_file import MatlabFile
from analysis.offline.scan_file import MICROMETRES
from analysis.offline.transforms import (
    HAAR,
    LARGEST,
    UNKNOWN,
    coarsest,
    of_zero_and_one,
    transform_masks,
    transform_named,
    unlikely,
    zero_scales,
)

_FORMS = "`masks` and `buckets`, or `coefficients` of a transform"
_TOLD = ("masks", "buckets", "errors", "coefficients")


@dataclass(frozen=True)
class Hints:
    """What whoever ingests a file says of it, where the file does not.

    Attributes
    ----------
    masks, buckets : str or None
        Names of the data sets; `signals[2]` is column 2, counted from 0, of buckets that have several.
    shape : (H, W) or None
        Pixels of a mask.
    transform : str or None
        Of which coefficients are.
    pairs : bool
        Whether realizations are pairs of a mask and its complement, one after the other.
    """

    masks: str | None = None
    buckets: str | None = None
    shape: tuple[int, int] | None = None
    transform: str | None = None
    pairs: bool = False


@dataclass(frozen=True, eq=False)
class Measurement:
    """Single-pixel data as they were in a file.

    Attributes
    ----------
    masks : ndarray, (M, H, W)
        The masks, in bytes or in single precision.
    buckets : ndarray, float64, (M,)
        The signal of each; may hold NaN, which a reconstruction leaves out.
    errors : ndarray, float64, (M,), or None
        Standard errors of the buckets.
    reference : ndarray, float32, (H', W'), or None
        A picture of the same object.
    pixel_size_um : float or None
        Size of a mask pixel on the object.
    order : ndarray, int64, (M,)
        Realizations in the order in which they are taken.
    remarks : tuple of str
        What was assumed.
    doubts : tuple of str
        What seems wrong, each with what mends it.
    """

    masks: np.ndarray
    buckets: np.ndarray
    errors: np.ndarray | None
    reference: np.ndarray | None
    pixel_size_um: float | None
    order: np.ndarray
    remarks: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()


def holds_masks(file: ArrayFile, hints: Hints) -> bool:
    """Whether a file holds masks, buckets or coefficients under a name that is known or given."""
    return bool(hints.masks or hints.buckets) or any(_named(file, key) for key in ("masks", "buckets", "coefficients"))


def read_measurement(path: Path | str, hints: Hints = Hints()) -> Measurement:
    """Read and check a file.

    Raises
    ------
    IngestError
        If it isn't such a file, something is missing, doesn't fit together, or doesn't fit into memory.
    """
    path = Path(path)
    with open_arrays(path) as file:
        return _Reader(path, file, hints).measurement()


class _Reader:
    def __init__(self, path: Path, file: ArrayFile, hints: Hints) -> None:
        self._path, self._file, self._hints = path, file, hints
        self._remarks: list[str] = []
        self._doubts: list[str] = []
        self._column: int | None = None
        self._names = {key: self._name(key) for key in KEYS}

    def measurement(self) -> Measurement:
        if self._names["coefficients"] and not self._names["masks"]:
            return self._coefficients(self._names["coefficients"])
        missing = [key for key in ("masks", "buckets") if self._names[key] is None]
        if missing:
            raise IngestError(
                f"{self._path} has no {' and no '.join(f'`{key}`' for key in missing)}: it must hold {_FORMS}. Name others with "
                f"--masks and --buckets. It holds {listing(self._file)}"
            )
        named, column = self._names["buckets"], self._column
        buckets = bucket_columns(self._path, "buckets", self._real("buckets"), self._remarks, named, column)
        if not np.isfinite(buckets).any():
            raise IngestError(f"{self._path}: `buckets` holds no finite value: give the signal measured with each mask")
        numbers = (len(buckets), len(buckets) // 2 if buckets.ndim == 1 else 2 * len(buckets))
        masks = mask_stack(
            self._path, self._array("masks"), numbers, self._shape(), self._remarks, by_columns=self._of_matlab("masks")
        )
        masks = lean(self._path, masks)
        errors = None if self._names["errors"] is None else bucket_columns(self._path, "errors", self._real("errors"), [])
        self._check_errors(errors, buckets)
        masks, buckets, errors = self._paired(masks, buckets, errors)
        if len(buckets) != len(masks):
            raise IngestError(
                f"{self._path}: `buckets` has {len(buckets)} values for {len(masks)} `masks`: give one for each mask, in their "
                f"order{self._pairs_asked(len(buckets), len(masks))}"
            )
        return Measurement(
            masks, buckets, errors, self._picture("reference"), self._pixel_size(), np.arange(len(masks)), tuple(self._remarks)
        )

    def _paired(
        self, masks: np.ndarray, buckets: np.ndarray, errors: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """Pairs of masks and complements as differences; all others as they are."""
        wanted = self._hints.pairs or self._flag("pairs")
        kind = complements(masks) if len(masks) == buckets.size else None
        if buckets.ndim == 2 and len(masks) == len(buckets):
            made = signed(masks)
        elif buckets.ndim == 2 and kind:
            first, second = places(len(masks), kind)
            made = signed(masks[first], masks[second])
        elif buckets.ndim == 1 and len(buckets) == 2 * len(masks) and wanted:
            made = signed(masks)
            order = likelier_order(made, buckets)
            self._remarks.append(f"there are {len(masks)} masks and twice as many buckets: taken as those of pairs, {order}")
            buckets, errors = in_pairs(buckets, order), None if errors is None else in_pairs(errors, order)
        elif buckets.ndim == 1 and len(buckets) == len(masks) and (kind or wanted):
            if len(masks) % 2:
                raise IngestError(f"{self._path}: {len(masks)} realizations cannot be pairs: leave the odd one out")
            kind = kind or IN_TURN
            self._remarks.append(f"{len(masks)} realizations are pairs of a mask and its complement, {kind}")
            first, second = places(len(masks), kind)
            buckets, errors = in_pairs(buckets, kind), None if errors is None else in_pairs(errors, kind)
            made = signed(masks[first], masks[second])
        else:
            if wanted:
                raise IngestError(f"{self._path}: {len(masks)} masks and buckets of {buckets.shape} are no pairs")
            if buckets.ndim == 2:
                raise IngestError(
                    f"{self._path}: `buckets` has {len(buckets)} pairs of values for {len(masks)} `masks`: give one for each mask"
                )
            return masks, buckets, errors
        self._remarks.append("each pair is reconstructed by its normalised difference, so that what both have in common cancels")
        return made, *difference(buckets, errors)

    def _pairs_asked(self, buckets: int, masks: int) -> str:
        return "; if each is followed by that of the complement, say --pairs masks" if buckets == 2 * masks else ""

    def _coefficients(self, name: str) -> Measurement:
        values = self._real("coefficients")
        if values.ndim == 1 or (values.ndim == 2 and 1 in values.shape):
            side = int(np.sqrt(values.size))
            if side * side == values.size:
                values = values.reshape(side, side)
                self._remarks.append(f"`{name}` is one row: taken as {side} rows of {side}")
        size = len(values)
        if values.shape not in ((size, size), (size, size, 2)) or not COARSEST <= size <= LARGEST or size & (size - 1):
            raise IngestError(
                f"{self._path}: `coefficients` is {values.shape}: it must be square, with a power of two from {COARSEST} to "
                f"{LARGEST} along each axis, or two such squares (N, N, 2) for masks and complements"
            )
        if not np.isfinite(values).any():
            raise IngestError(f"{self._path}: `coefficients` holds no finite value: give the signal measured with each mask")
        said = self._hints.transform or self._text("transform")
        try:
            transform = transform_named(said or HAAR)
            scale = coarsest(transform, size)
        except ValueError as error:
            raise IngestError(f"{self._path}: {error}") from error
        if values.ndim == 3:
            self._remarks.append(f"`{name}` is {values.shape}: taken as the signals of each mask and of its complement")
            values = difference(values.reshape(-1, 2), None)[0].reshape(size, size)
        of_bits = of_zero_and_one(values)
        self._check_transform(2 * values - values[0, 0] if of_bits else values, transform, said)
        masks = transform_masks(transform, size)
        if of_bits and transform.startswith("hadamard"):
            self._remarks.append(f"`{name}` are all near half of the first: taken as those of masks of 0 and 1, not of -1 and 1")
            masks = masks > 0
        return Measurement(
            masks,
            values.ravel(),
            None,
            self._picture("ccd"),
            self._pixel_size(),
            coarse_to_fine(size, scale),
            tuple(self._remarks),
            tuple(self._doubts),
        )

    def _check_transform(self, values: np.ndarray, transform: str, said: str | None) -> None:
        other = unlikely(values, transform)
        if other is not None:
            doubt = f"`coefficients` look like those of {other} rather than of {transform}: which are they?"
            known = other != UNKNOWN
            if said is None:
                raise IngestError(
                    f"{self._path}: {doubt} Say {f'--transform {other}, or ' if known else ''}--transform {transform}"
                )
            self._doubts.append(f"{doubt} (--transform {other if known else '...'})")
        if said is None:
            self._remarks.append(f"`coefficients` are taken as those of {transform} (--transform)")
        if transform.startswith("hadamard"):
            return
        for scale in zero_scales(values, coarsest(transform, len(values))):
            self._doubts.append(
                f"all details of scale {scale} to {2 * scale} are exactly 0: were they measured? (--mend zeros leaves them out)"
            )

    def _name(self, key: str) -> str | None:
        given = {"masks": self._hints.masks, "buckets": self._hints.buckets}.get(key)
        if given is not None:
            name, column = given.strip("/"), None
            if key == "buckets" and self._file.find(name) is None:
                name, column = column_named(name)
            if self._file.find(name) is None:
                raise IngestError(f"{self._path} has no data set {given}. It holds {listing(self._file)}")
            self._column = column if key == "buckets" else self._column
            return name
        found = _named(self._file, key)
        if len(found) > 1:
            option = f"name one with --{key}" if key in ("masks", "buckets") else "leave one"
            raise IngestError(f"{self._path}: `{key}` may be any of {', '.join(found)}: {option}")
        if found and found[0] != key and key in _TOLD:
            self._remarks.append(f"{found[0]} is taken as `{key}`")
        return found[0] if found else None

    def _array(self, key: str) -> np.ndarray:
        array, entry = self._file.array(self._there(key)), self._file.find(self._there(key))
        if entry is not None and entry.reversed:
            if array.ndim > 2 or (array.ndim == 2 and 1 not in array.shape):
                self._remarks.append(f"`{key}` was written by MATLAB, which reverses the axes in HDF5: they are turned back")
            return array.T
        return array

    def _of_matlab(self, key: str) -> bool:
        entry = self._file.find(self._there(key))
        return isinstance(self._file, MatlabFile) or (entry is not None and entry.reversed)

    def _there(self, key: str) -> str:
        """The name of a data set that the file holds."""
        name = self._names[key]
        assert name is not None
        return name

    def _real(self, key: str) -> np.ndarray:
        array = np.asarray(self._array(key))
        if array.dtype.kind not in "biuf":
            raise IngestError(f"{self._path}: `{key}` is of type {array.dtype}: it must hold real numbers")
        return array.astype(np.float64)

    def _check_errors(self, errors: np.ndarray | None, buckets: np.ndarray) -> None:
        if errors is None:
            return
        if errors.shape != buckets.shape:
            raise IngestError(f"{self._path}: `errors` has {errors.size} values for {buckets.size} `buckets`: give one for each")
        if not (errors[np.isfinite(buckets)] > 0).all():
            raise IngestError(
                f"{self._path}: `errors` must be positive: give standard errors in the buckets' unit, or leave the key out"
            )

    def _shape(self) -> tuple[int, int] | None:
        if self._hints.shape is not None:
            return self._hints.shape
        if self._names["shape"] is None:
            return None
        values = self._real("shape").ravel()
        if values.shape != (2,) or (values < 1).any() or (values != np.floor(values)).any():
            raise IngestError(f"{self._path}: `shape` must be the rows and columns of a mask, two whole numbers, not {values}")
        return int(values[0]), int(values[1])

    def _picture(self, key: str) -> np.ndarray | None:
        if self._names[key] is None:
            return None
        picture = self._real(key)
        if picture.ndim != 2:
            raise IngestError(f"{self._path}: `{key}` has the shape {picture.shape}: it must be (H, W)")
        return picture.astype(np.float32)

    def _pixel_size(self) -> float | None:
        if self._names["pixel_size_um"] is None:
            return None
        value = np.asarray(self._array("pixel_size_um"))
        if value.size != 1 or value.dtype.kind not in "iuf" or not np.isfinite(value).all() or value.item() <= 0:
            raise IngestError(
                f"{self._path}: `pixel_size_um` must be one positive number, the size of a mask pixel in micrometres"
            )
        entry = self._file.find(self._there("pixel_size_um"))
        units = None if entry is None else entry.units
        if MICROMETRES.get(units or "um", 1.0) != 1.0:
            self._remarks.append(f"the unit beside `pixel_size_um` is {units}: taken as such")
        return float(value.item()) * MICROMETRES.get(units or "um", 1.0)

    def _flag(self, key: str) -> bool:
        if self._names[key] is None:
            return False
        value = np.asarray(self._array(key))
        if value.size != 1 or value.dtype.kind not in "biuf":
            raise IngestError(f"{self._path}: `{key}` must be one value, true or false")
        return bool(value.item())

    def _text(self, key: str) -> str | None:
        if self._names[key] is None:
            return None
        value = np.asarray(self._array(key))
        if value.dtype.kind in "iu" and value.ndim:  # as MATLAB writes text into HDF5
            return "".join(map(chr, value.ravel()))
        word: Any = value.ravel()[0] if value.size else ""
        return word.decode(errors="replace") if isinstance(word, bytes) else str(word)


def _named(file: ArrayFile, key: str) -> Sequence[str]:
    """Data sets that a key may mean: of this name, else in other capitals, else in a group, the higher ones first of all."""
    for name in KEYS[key]:
        if file.find(name) is not None:
            return [name]
        for at in (lambda path: path, lambda path: path.rpartition("/")[2]):
            found = [path for path in file.entries if at(path).lower() == name]
            highest = [path for path in found if path.count("/") == min(other.count("/") for other in found)]
            if found:
                return highest
    return []
