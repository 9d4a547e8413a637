"""Several methods on the same realizations, and the figures by which to compare them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from analysis.documents.recipe import Recipe
from analysis.ghost import METHODS, Result, make_reconstructor, reconstruct
from analysis.ghost.mistakes import unrelated
from analysis.ghost.registry import check_recipe
from analysis.metrics import frc_resolution, psnr, rsd, ssim
from analysis.offline.acquisition import Acquisition

_SMALLEST_FOR_SSIM = 3
_HARDLY_BETTER = 0.9  # than a flat image, by the held-out loss
_LINEAR = {"correlation", "differential", "normalised", "least_squares"}


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
        A picture of the object with the masks' pixels, see `analysis.offline.reference_picture`.
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


def loss_doubt(acquisition: Acquisition, comparison: Comparison) -> str | None:
    """That no method predicts left-out buckets, in a sentence; None where one does.

    Linear methods assume nothing of the image: of masks that are independent of each other, such as Hadamard's, they predict
    nothing, however good their images are.
    """
    losses = {one.result.method: one.figures["heldout_loss"] for one in comparison.done}
    known = {method: loss for method, loss in losses.items() if np.isfinite(loss)}
    if not known or min(known.values()) < _HARDLY_BETTER:
        return None
    if (min(known.values()) < 1 or set(known) <= _LINEAR) and not unrelated(acquisition.masks, acquisition.buckets):
        return None
    best = min(known, key=lambda method: known[method])
    return f"held-out loss {known[best]:.3g} of {best}: masks and buckets may not belong together"


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
