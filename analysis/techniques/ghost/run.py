"""A ghost-imaging run and its reconstruction: the connection between documents and the algorithms of `analysis.ghost`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from analysis.documents.batch import Batch
from analysis.documents.recipe import Recipe
from analysis.documents.references import ReferenceDiffers, ReferenceMissing, ReferenceName, ReferenceStore
from analysis.documents.refusal import RunRefused
from analysis.estimate import Estimate, Quantity, image_quantity
from analysis.ghost import Estimate as GhostEstimate
from analysis.ghost import Reconstructor, make_reconstructor
from analysis.ghost.chosen_masks import ChosenMasks
from analysis.ghost.mistakes import mistakes
from analysis.techniques.ghost.channels import MASK_DRIFT, channel_quantities, joint_estimate, joint_options
from analysis.techniques.ghost.incident import DOSE_FIGURES, IncidentPhotons
from analysis.techniques.ghost.intake import Realizations
from analysis.techniques.ghost.mask_pairs import COMPLEMENT
from analysis.techniques.ghost.mask_sets import KIND, MASK_SET, MaskSet, checked_identity
from analysis.techniques.ghost.run_spec import RunSpec

_MOST_EXPECTED = 65536  # limit of the memory reserved at once, in realizations, whatever a start document announces
UNRELATED = "Masks and buckets may not belong together."

_AT_ONCE = 256  # masks copied at a time: 4 MB of 64x64 pixels


class GhostRun:
    """One ghost-imaging run.

    Parameters
    ----------
    start : mapping
        Its start document.
    masks : MaskSet
        Its mask set.
    store : ReferenceStore, optional
        The store of other mask sets that a recipe may name.

    Raises
    ------
    RunRefused
        If the start document is malformed, or the shape of the masks differs from it.
    """

    rows = "realizations"

    def __init__(self, start: Mapping[str, Any], masks: MaskSet, store: ReferenceStore | None = None) -> None:
        self.spec = RunSpec.of(start)
        self.masks = masks
        self._start, self._store = start, store
        self._signed = bool(masks.patterns.min() < 0)
        shape = masks.patterns.shape[1:]
        if shape != self.spec.shape:
            raise RunRefused(
                f"the masks of set {self.spec.mask_set[:12]} are {shape[0]}x{shape[1]} pixels, those of the run "
                f'{self.spec.shape[0]}x{self.spec.shape[1]}: correct "mask_set" or ghost["shape"] in the start document'
            )

    @property
    def channels(self) -> Sequence[str]:
        """The chemical elements of a run of spectra; empty for a run with one bucket."""
        return () if self.spec.spectra is None else self.spec.spectra.setup.elements

    @property
    def expected(self) -> int | None:
        """Realizations that the run should have."""
        return self.spec.expected

    def quantities(self, recipe: Recipe) -> Mapping[str, Quantity]:
        """Image and spread in the image's unit, and figures of reliability; per chemical element in a run of spectra."""
        units = self.metadata(recipe)["image"]["units"]
        if self.channels:
            return channel_quantities(self.channels, self.spec.shape, units)
        return {
            "image": image_quantity("the object", self.spec.shape, units),
            "spread": image_quantity("standard error of the image", self.spec.shape, units),
            "heldout_loss": Quantity("held-out loss", lower_is_better=True, useless_from=1.0, useless_means=UNRELATED),
            "frc_resolution_px": Quantity("FRC", "pixel", lower_is_better=True),
            **MASK_DRIFT,
            "dose": Quantity("monitor counts so far", "counts"),
            **DOSE_FIGURES,
        }

    def metadata(self, recipe: Recipe) -> Mapping[str, Any]:
        """The mask set with which it was measured, and the meaning of the image."""
        if self.channels:
            normalised = self.spec.monitor is not None
            return {
                "mask_set": recipe.options.get(MASK_SET) or self.spec.mask_set,
                "channels": list(self.channels),
                "image": {
                    "quantity": "fluorescence counts" + (" per incident count" if normalised else ""),
                    "units": "1" if normalised else "counts",
                    "pixel_size_um": self._start["ghost"].get("pixel_size_um"),
                    "bucket": self.spec.spectra.counts if self.spec.spectra else self.spec.bucket,
                },
                "caption": self._caption,
            }
        absolute = self.spec.monitor is not None and self.spec.open_beam_ratio is not None
        return {
            "mask_set": recipe.options.get(MASK_SET) or self.spec.mask_set,
            "image": {
                "quantity": "bucket signal per incident signal" if absolute else "bucket signal",
                "units": "1" if absolute else "arbitrary",
                "pixel_size_um": self._start["ghost"].get("pixel_size_um"),
                "bucket": self.spec.bucket,
            },
            "caption": self._caption,
        }

    @property
    def _caption(self) -> str:
        height, width = self.spec.shape
        parts = [f"{height}x{width} pixels"]
        if self.expected:
            parts[0] += f" (compression {height * width / self.expected:.1f})"
        if exposure := self._start["ghost"].get("exposure"):
            parts.append(f"{exposure:g} s each")
        return ", ".join(parts)

    @property
    def remarks(self) -> Sequence[str]:
        """Assumptions about ingested data, the use of pairs, and a note that further buckets are not reconstructed."""
        pairs = ["each mask and its complement are reconstructed by their normalised difference"] if self.spec.pairs else []
        return [*self._said("remarks"), *pairs, *self._not_reconstructed()]

    def _said(self, key: str) -> list[str]:
        """Sentences of the start document."""
        said = self._start["ghost"].get(key)
        return [str(sentence) for sentence in said] if isinstance(said, (list, tuple)) else []

    def _not_reconstructed(self) -> list[str]:
        if self.spec.spectra is not None:
            buckets = [key for key in (self.spec.bucket, *self.spec.other_buckets) if key != self.spec.spectra.counts]
            return [f"reconstructed from the spectra, not from {', '.join(buckets)}"] if buckets else []
        if not self.spec.other_buckets:
            return []
        others = ", ".join(self.spec.other_buckets)
        return [
            f"reconstructed from the bucket {self.spec.bucket} alone, not from {others}: put another one first in `detectors`"
        ]

    def intake(self, *, wait_for_end: bool = False) -> Realizations:
        """A new intake."""
        return Realizations(
            self._start, len(self.masks.patterns), signed=self._signed, wait_for_end=wait_for_end, doubts=self._doubts
        )

    def masks_of(self, batch: Batch, masks: MaskSet | None = None) -> ChosenMasks:
        """The mask of each realization, or for each pair the difference of its masks; from another mask set if one is given."""
        patterns = (masks or self.masks).patterns
        return ChosenMasks(patterns, batch.columns["mask_index"], batch.columns.get(COMPLEMENT))

    def _doubts(self, batch: Batch) -> list[str]:
        """Suspected mistakes in masks and buckets, in sentences; in a run of spectra, from the clearest element."""
        buckets = batch.columns["bucket"]
        if self.channels:
            buckets = buckets[:, np.argmax(buckets.var(axis=0) / np.mean(batch.columns["error"] ** 2, axis=0))]
        found = mistakes(self.masks_of(batch), buckets)
        return self._said("doubts") + [str(mistake) for mistake in found]

    def masks_by(self, recipe: Recipe) -> MaskSet:
        """The mask set to reconstruct with: the run's, or the one that the recipe names.

        Raises
        ------
        ValueError
            If it is not in the store, or its masks differ from the run's.
        """
        identity = checked_identity(recipe.options.get(MASK_SET))
        if identity is None:
            return self.masks
        if self._store is None:
            raise ValueError("there is no store to take another mask set from")
        try:
            other = MaskSet.of(self._store.load(ReferenceName(KIND, identity)))
        except (ReferenceMissing, ReferenceDiffers) as error:
            raise ValueError(str(error)) from error
        if other.patterns.shape != self.masks.patterns.shape:
            raise ValueError(
                f"mask set {identity[:12]} has masks (M, H, W) = {other.patterns.shape}, that of the run "
                f"{self.masks.patterns.shape}: choose a set of the same plate"
            )
        return other

    def reconstruction(self, recipe: Recipe) -> GhostReconstruction:
        """A new reconstruction."""
        return GhostReconstruction(self, recipe)


class GhostReconstruction:
    """A reconstructor of `analysis.ghost` with the masks of a run, or one per chemical element of a run of spectra."""

    def __init__(self, run: GhostRun, recipe: Recipe) -> None:
        self._run, self._masks = run, run.masks_by(recipe)
        self._mask_set = {name: recipe.options[name] for name in (MASK_SET,) if recipe.options.get(name)}
        options = {name: value for name, value in recipe.options.items() if name != MASK_SET}
        self._channels = run.channels
        self._rows_each = 2 if run.spec.pairs else 1
        self._expected = None if run.expected is None else min(run.expected // self._rows_each, _MOST_EXPECTED)
        try:
            self._reconstructors: list[Reconstructor] = [
                make_reconstructor(
                    recipe.method,
                    shape=run.spec.shape,
                    expected=self._expected,
                    seed=recipe.seed,
                    device=recipe.device,
                    **options,
                )
                for _ in self._channels or (None,)
            ]
        except TypeError as error:  # an option has the name of a parameter
            raise ValueError(str(error)) from error
        self._dose = float("nan")
        per_count = run.spec.photons_per_monitor_count if run.spec.counts_photons else None
        self._incident = None if per_count is None else IncidentPhotons(self._masks.patterns, per_count)

    @property
    def options(self) -> Mapping[str, Any]:
        """The options with all defaults, and with the values chosen from the data."""
        return {**joint_options(self._reconstructors), **self._mask_set}

    def update(self, batch: Batch) -> None:
        """Take further realizations."""
        for first in range(0, len(batch), _AT_ONCE):
            part = batch.part(first, first + _AT_ONCE)
            masks = self._run.masks_of(part, self._masks)[:]
            buckets, errors = (_by_channel(part.columns.get(name)) for name in ("bucket", "error"))
            for channel, reconstructor in enumerate(self._reconstructors):
                reconstructor.update(masks, buckets[channel], errors[channel] if errors else None)
        self._dose = float(batch.columns["dose"][-1])
        if self._incident is not None:
            self._incident.add(batch)
        if self._expected is not None:
            # refused realizations are not repeated, so all others are all that there will be
            count = self._reconstructors[0].count
            refused = int(batch.received[-1]) // self._rows_each - count
            for reconstructor in self._reconstructors:
                reconstructor.expected = max(self._expected - refused, count)

    def result(self) -> Estimate:
        """The estimate now; it may start from an earlier one."""
        return self._estimate([reconstructor.result() for reconstructor in self._reconstructors])

    def finish(self) -> Estimate:
        """The final estimate: it does not depend on estimates made before."""
        return self._estimate([reconstructor.finish() for reconstructor in self._reconstructors])

    def _estimate(self, made: list[GhostEstimate]) -> Estimate:
        dose = {"dose": self._dose, **(self._incident.figures if self._incident is not None else {})}
        if self._channels:
            return joint_estimate(self._channels, made, dose)
        (one,) = made
        arrays = {"image": np.asarray(one.image, dtype="<f4"), "spread": np.asarray(one.spread, dtype="<f4")}
        return Estimate(arrays, {"heldout_loss": one.heldout_loss, **one.figures, **dose})


def _by_channel(column: np.ndarray | None) -> list[np.ndarray]:
    """A column (B,) or (B, C) as one array (B,) per channel; None stays None."""
    if column is None:
        return []
    return [column] if column.ndim == 1 else [np.ascontiguousarray(column[:, channel]) for channel in range(column.shape[1])]
