"""One simulated scan, written in all common file formats of masks and buckets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import tifffile
from PIL import Image

from analysis.offline.ingest_file import Hints
from analysis.offline.transforms import DYADIC, HAAR, NATURAL, SEQUENCY, transform_masks
from benchmarks._clean_scans import object_of


@dataclass(frozen=True, eq=False)
class Scan:
    """Masks, the object, and its buckets with some noise.

    Attributes
    ----------
    masks : bool array, (M, H, W)
    buckets : array, (M,)
    pairs : array, (M, 2)
        Buckets of each mask and its complement, each pair with its own gain.
    """

    masks: np.ndarray
    object: np.ndarray
    buckets: np.ndarray
    pairs: np.ndarray

    @classmethod
    def simulated(cls, shape: tuple[int, int], seed: int) -> Scan:
        """A scan with two thirds as many random masks as pixels."""
        rng = np.random.default_rng(seed)
        number = 2 * shape[0] * shape[1] // 3 // 8 * 8
        masks, image = rng.random((number, *shape)) < 0.5, object_of(shape, rng)
        buckets = np.tensordot(masks.astype(float), image, 2)
        gain = 1 + rng.gamma(0.35, 0.45, number)
        pairs = np.stack([buckets, image.sum() - buckets], axis=1) * gain[:, None]
        return cls(masks, image, buckets + rng.normal(0, 0.02 * buckets.std(), number), pairs)


@dataclass(frozen=True, eq=False)
class Form:
    """A file format, how it is written into a folder, and the masks and buckets that it represents.

    Attributes
    ----------
    write : callable
        Called with a folder; returns the file.
    hints : Hints
        Information that the user has to give.
    mend : tuple of str
        Corrections that have to be requested.
    """

    name: str
    write: Callable[[Path], Path]
    masks: np.ndarray
    buckets: np.ndarray
    hints: Hints = field(default_factory=Hints)
    mend: tuple[str, ...] = ()


def all_forms(scan: Scan, oblong: Scan) -> Iterator[Form]:
    """All formats of a square scan, and those formats of an oblong scan for which square masks are not a sufficient test."""
    masks, buckets = scan.masks, scan.buckets
    plain = {"masks": masks, "buckets": buckets}

    def form(name: str, write: Callable[[Path], Path], hints: Hints = Hints()) -> Form:  # noqa: B008
        return Form(name, write, masks, buckets, hints)

    yield form("npz", lambda folder: _npz(folder, plain))
    yield form("other capitals", lambda folder: _npz(folder, {"Masks": masks, "BUCKETS": buckets}))
    yield form("hdf5", lambda folder: _hdf5(folder, plain))
    yield form("groups", lambda folder: _hdf5(folder, {"entry/data/masks": masks, "entry/data/buckets": buckets}))
    named = Hints(masks="raw/dmd", buckets="raw/apd")
    yield form("named data sets", lambda folder: _hdf5(folder, {"raw/dmd": masks, "raw/apd": buckets, "raw/x": [0]}), named)
    yield form("column", lambda folder: _npz(folder, {**plain, "buckets": buckets[:, None]}))
    yield form("row", lambda folder: _npz(folder, {**plain, "buckets": buckets[None]}))
    yield form("matrix", lambda folder: _npz(folder, {**plain, "masks": masks.reshape(len(masks), -1)}))
    yield form("masks last", lambda folder: _npz(folder, {**plain, "masks": np.moveaxis(masks, 0, -1)}))
    yield form("matrix, masks last", lambda folder: _npz(folder, {**plain, "masks": masks.reshape(len(masks), -1).T}))
    yield form("bits", lambda folder: _npz(folder, {**plain, "masks": np.packbits(masks, axis=2)}))
    packed = np.packbits(masks.reshape(len(masks), -1), axis=1, bitorder="little")
    lowest = {**plain, "masks": packed}
    yield Form("bits, lowest first", lambda folder: _npz(folder, lowest), masks, buckets, mend=("lowest-bit-first",))
    yield form("float", lambda folder: _npz(folder, {**plain, "masks": masks.astype(float)}))
    yield form("matlab", lambda folder: _matlab(folder, masks, buckets))
    yield form("matlab 7.3", lambda folder: _matlab73(folder, masks, buckets))
    yield form("images and table", lambda folder: _images(folder, masks, buckets))
    yield form("tiff stack and table", lambda folder: _tiff(folder, masks, buckets))
    yield form("npy and table", lambda folder: _npy(folder, masks, buckets))
    yield form("two tables", lambda folder: _tables(folder, masks, buckets))
    tall, few = oblong.masks, oblong.buckets
    shaped = Hints(shape=(tall.shape[1], tall.shape[2]))
    yield Form(
        "oblong matrix", lambda folder: _npz(folder, {"masks": tall.reshape(len(tall), -1), "buckets": few}), tall, few, shaped
    )
    keyed = {"masks": tall.reshape(len(tall), -1), "buckets": few, "shape": tall.shape[1:]}
    yield Form("oblong matrix with shape", lambda folder: _npz(folder, keyed), tall, few)
    rows = {"masks": np.packbits(tall, axis=2), "buckets": few, "shape": tall.shape[1:]}
    yield Form("oblong bits with shape", lambda folder: _npz(folder, rows), tall, few)
    yield Form("oblong matlab", lambda folder: _matlab(folder, tall, few), tall, few)
    yield Form("oblong matlab 7.3", lambda folder: _matlab73(folder, tall, few), tall, few)
    yield Form("oblong matlab matrix", lambda folder: _matlab_matrix(folder, tall, few), tall, few, shaped)
    yield from _pair_forms(scan)
    yield from _transform_forms(object_of((32, 32), np.random.default_rng(5)))


def _pair_forms(scan: Scan) -> Iterator[Form]:
    masks, both = scan.masks, scan.pairs
    signed = 2.0 * masks - 1
    buckets = np.tensordot(signed, scan.object, 2)
    in_turn = np.stack([masks, ~masks], axis=1).reshape(-1, *masks.shape[1:])
    yield Form("pairs in turn", lambda folder: _npz(folder, {"masks": in_turn, "buckets": both.ravel()}), signed, buckets)
    halves = {"masks": np.concatenate([masks, ~masks]), "buckets": np.concatenate([both[:, 0], both[:, 1]])}
    yield Form("pairs in halves", lambda folder: _npz(folder, halves), signed, buckets)
    yield Form("pairs in two columns", lambda folder: _npz(folder, {"masks": masks, "buckets": both}), signed, buckets)
    keyed = {"masks": masks, "buckets": both.ravel(), "pairs": True}
    yield Form("pairs of masks alone", lambda folder: _npz(folder, keyed), signed, buckets)


def _transform_forms(image: np.ndarray) -> Iterator[Form]:
    size = len(image)
    for name in (HAAR, NATURAL, SEQUENCY, DYADIC, "legall", "db2"):
        masks = transform_masks({"legall": "bior2.2"}.get(name, name), size)
        buckets = np.tensordot(masks.astype(float), image, 2)
        content = {"coefficients": buckets.reshape(size, size), **({} if name == HAAR else {"transform": name})}
        yield Form(f"coefficients, {name}", lambda folder, content=content: _npz(folder, content), masks, buckets)  # type: ignore[misc]
        if name == SEQUENCY:
            both = np.stack([(image.sum() + buckets) / 2, (image.sum() - buckets) / 2], axis=1).reshape(size, size, 2)
            pairs = {"coefficients": both, "transform": name}
            yield Form("coefficients in pairs", lambda folder, pairs=pairs: _npz(folder, pairs), masks, buckets)  # type: ignore[misc]


def _npz(folder: Path, arrays: dict[str, Any]) -> Path:
    np.savez(folder / "data.npz", **arrays)
    return folder / "data.npz"


def _hdf5(folder: Path, arrays: dict[str, Any]) -> Path:
    with h5py.File(folder / "data.h5", "w") as file:
        for name, array in arrays.items():
            file[name] = array
    return folder / "data.h5"


def _matlab(folder: Path, masks: np.ndarray, buckets: np.ndarray) -> Path:
    from scipy.io import savemat

    savemat(folder / "data.mat", {"masks": np.moveaxis(masks, 0, -1), "buckets": buckets})
    return folder / "data.mat"


def _matlab_matrix(folder: Path, masks: np.ndarray, buckets: np.ndarray) -> Path:
    """Each mask as a column, as MATLAB's `reshape(masks, [], M)` makes it."""
    from scipy.io import savemat

    columns = masks.swapaxes(1, 2).reshape(len(masks), -1).T
    savemat(folder / "data.mat", {"Masks": columns, "Buckets": buckets})
    return folder / "data.mat"


def _matlab73(folder: Path, masks: np.ndarray, buckets: np.ndarray) -> Path:
    with h5py.File(folder / "data.mat", "w") as file:
        for name, array in {"masks": np.moveaxis(masks, 0, -1).astype(np.uint8), "buckets": buckets[:, None]}.items():
            file[name] = array.T
            file[name].attrs["MATLAB_class"] = np.bytes_("logical" if name == "masks" else "double")
    return folder / "data.mat"


def _images(folder: Path, masks: np.ndarray, buckets: np.ndarray) -> Path:
    for number, mask in enumerate(masks):
        Image.fromarray(mask.astype(np.uint8) * 255).save(folder / f"mask_{number}.png")
    np.savetxt(folder / "buckets.csv", buckets * 255)
    return folder


def _tiff(folder: Path, masks: np.ndarray, buckets: np.ndarray) -> Path:
    (folder / "masks").mkdir()
    tifffile.imwrite(folder / "masks" / "all.tif", masks.astype(np.uint8), photometric="minisblack")
    np.savetxt(folder / "buckets.txt", buckets)
    return folder / "buckets.txt"


def _npy(folder: Path, masks: np.ndarray, buckets: np.ndarray) -> Path:
    np.save(folder / "dmd_patterns.npy", masks)
    (folder / "buckets.csv").write_text(
        "number,buckets\n" + "".join(f"{n},{value!r}\n" for n, value in enumerate(buckets.tolist()))
    )
    return folder / "dmd_patterns.npy"


def _tables(folder: Path, masks: np.ndarray, buckets: np.ndarray) -> Path:
    np.savetxt(folder / "masks.csv", masks.reshape(len(masks), -1), fmt="%d", delimiter=";")
    np.savetxt(folder / "buckets.csv", buckets)
    return folder
