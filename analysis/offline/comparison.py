"""Several methods on the same realizations, and the figures by which to compare them."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from analysis.documents.recipe import Recipe
from analysis.ghost import METHODS, Result, make_reconstructor, reconstruct
from analysis.ghost.registry import check_recipe
from analysis.metrics import frc_resolution, psnr, rsd, ssim
from analysis.offline.acquisition import Acquisition
from analysis.offline.ingest_file import IngestError

_SMALLEST_FOR_SSIM = 3


@dataclass(frozen=True, eq=False)
class Compared:
    """One method's result.

    Attributes
    ----------
    result : Result
        Image, spread and options.
    figures : dict of float
        "elapsed_s"; "heldout_loss" and "frc_resolution_px" as in `Result`; "contrast", the image's standard deviation over its
        mean; "relative_spread", the root-mean-square spread over the image's standard deviation. With a reference also
        "psnr_db" and "ssim" after scale and offset have been fitted, and "frc_resolution_reference_px", the resolution at which
        image and reference stop agreeing.
    """

    result: Result
    figures: dict[str, float]

    @property
    def chosen(self) -> dict[str, Any]:
        """The options that aren't the method's defaults: given, or chosen from the data."""
        assert isinstance(self.result.options, dict)
        usual = {"nonnegative": True, **METHODS[self.result.method].defaults}
        return {name: value for name, value in self.result.options.items() if value != usual[name]}


@dataclass(frozen=True, eq=False)
class Comparison:
    """What `compare` found.

    Attributes
    ----------
    done : list of Compared
        In the order asked for.
    failed : dict of str
        Why a method could make no image, by method.
    """

    done: list[Compared] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)


def compare(
    acquisition: Acquisition,
    recipes: Sequence[Recipe],
    *,
    reference: np.ndarray | None = None,
    time_budget_s: float | None = None,
    progress: Callable[[str, float], None] = lambda method, fraction: None,
) -> Comparison:
    """Reconstruct by each recipe.

    Parameters
    ----------
    acquisition : Acquisition
        What was measured.
    recipes : sequence of Recipe
        The reconstructions to make; all are checked before the first one begins.
    reference : array, (H, W), optional
        A picture of the object with the masks' pixels, see `reference_for`.
    time_budget_s : float, optional
        What each method may take; see `reconstruct`.
    progress : callable
        Gets a method and the fraction of it that is done.

    Raises
    ------
    ValueError
        If the first recipe suits not the data, or any is senseless in itself. That another one does not suit the data is in
        `failed`.
    MemoryError
        If the data are too large for the first recipe's method.
    """
    for recipe in recipes:
        check_recipe(recipe.method, recipe.options)
        make_reconstructor(recipe.method, shape=(1, 1), seed=recipe.seed, device=recipe.device, **recipe.options)
    comparison = Comparison()
    for number, recipe in enumerate(recipes):

        def told(fraction: float, method: str = recipe.method) -> None:
            progress(method, fraction)

        told(0.0)
        try:
            result = reconstruct(
                acquisition.masks,
                acquisition.buckets,
                recipe.method,
                errors=acquisition.errors,
                seed=recipe.seed,
                device=recipe.device,
                time_budget_s=time_budget_s,
                progress=told,
                **recipe.options,
            )
        except (ValueError, MemoryError) as error:
            if number == 0:
                raise
            comparison.failed[recipe.method] = str(error)
        else:
            comparison.done.append(Compared(result, _figures(result, reference)))
        told(1.0)
    return comparison


def reference_for(picture: np.ndarray, shape: tuple[int, int]) -> np.ndarray | None:
    """Return a picture in the masks' pixels, float64 (H, W), or None if it can't be binned to them."""
    height, width = (length // wanted for length, wanted in zip(picture.shape, shape, strict=True))
    if picture.shape != (height * shape[0], width * shape[1]) or not picture.size:
        return None
    return picture.reshape(shape[0], height, shape[1], width).mean(axis=(1, 3), dtype=np.float64)


def read_reference(path: Path | str, shape: tuple[int, int]) -> np.ndarray:
    """Read a picture (NPY, or any image that Pillow knows, such as TIFF and PNG) in the masks' pixels, float64 (H, W).

    Raises
    ------
    IngestError
        If it is no picture, can't be binned to the masks' pixels, or shows nothing.
    """
    path = Path(path)
    if not path.is_file():
        raise IngestError(f"there is no file {path} for a reference")
    try:
        if path.suffix == ".npy":
            picture = np.load(path, allow_pickle=False)
        else:
            from PIL import Image

            with warnings.catch_warnings(action="ignore"), Image.open(path) as opened:  # of tags that don't matter here
                picture = np.asarray(opened if opened.mode in ("L", "I", "F", "I;16") else opened.convert("L"))
        picture = picture.astype(np.float64)
    except Exception as error:  # whatever a damaged file makes of the libraries
        raise IngestError(f"{path} cannot be read as a picture ({error}): give NPY, TIFF or PNG") from error
    binned = reference_for(picture, shape) if picture.ndim == 2 else None
    if binned is None:
        raise IngestError(
            f"{path} has the shape {picture.shape}: a reference must have the masks' {shape[0]}x{shape[1]} pixels, or a whole "
            "multiple of them along each axis; crop or bin it"
        )
    if not np.isfinite(binned).all() or binned.min() == binned.max():
        raise IngestError(f"{path} holds one value alone, or NaN or infinite ones: give a picture of the object")
    return binned


def _figures(result: Result, reference: np.ndarray | None) -> dict[str, float]:
    assert isinstance(result.heldout_loss, float) and isinstance(result.figures, dict)
    image = result.image.astype(np.float64)
    contrast = float(image.std())
    spread = float(np.sqrt(np.mean(result.spread.astype(np.float64) ** 2)))
    figures = {
        "elapsed_s": result.elapsed_s,
        "heldout_loss": result.heldout_loss,
        **result.figures,
        "contrast": rsd(image),
        "relative_spread": spread / contrast if contrast > 0 else float("nan"),
    }
    if reference is not None:
        fitted = _fitted(image, reference)
        figures["psnr_db"] = psnr(fitted, reference)
        figures["ssim"] = ssim(fitted, reference) if min(image.shape) >= _SMALLEST_FOR_SSIM else float("nan")
        figures["frc_resolution_reference_px"] = frc_resolution(image, reference)
    return figures


def _fitted(image: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Return the image with the scale and offset that bring it closest to a reference, which has its own unit."""
    design = np.stack([image.ravel() / max(float(np.abs(image).max()), 1e-300), np.ones(image.size)], axis=1)
    return (design @ np.linalg.lstsq(design, reference.ravel(), rcond=None)[0]).reshape(image.shape)
