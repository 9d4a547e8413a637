"""One recipe applied to batches of realizations: the same for a live run and for a replay."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from analysis.documents.derived import Standing
from analysis.documents.mask_store import MaskSet
from analysis.documents.realizations import Batch
from analysis.documents.recipe import Recipe
from analysis.documents.run_spec import RunRefused, RunSpec
from analysis.ghost import Estimate, make_reconstructor

_MOST_EXPECTED = 65536  # room is made for so many realizations at once, whatever a start document promises
_AT_ONCE = 256  # masks copied at a time: 4 MB of 64x64 pixels


@dataclass(frozen=True, eq=False)
class Timed:
    """An estimate, where the reconstruction stood, and what it cost (s)."""

    estimate: Estimate
    standing: Standing
    elapsed_s: float


class Reconstruction:
    """A reconstructor with its masks.

    Parameters
    ----------
    masks : MaskSet
        The run's mask set.
    spec : RunSpec
        What the run's start document says.
    recipe : Recipe
        Method, options, seed and device.

    Raises
    ------
    RunRefused
        If the masks have another shape than the run says, or the recipe isn't valid; the message lists what is.
    """

    def __init__(self, masks: MaskSet, spec: RunSpec, recipe: Recipe) -> None:
        shape = masks.patterns.shape[1:]
        if shape != spec.shape:
            raise RunRefused(
                f"the masks of set {spec.mask_set[:12]} are {shape[0]}x{shape[1]} pixels, those of the run "
                f'{spec.shape[0]}x{spec.shape[1]}: correct "mask_set" or ghost["shape"] in the start document'
            )
        self.masks = masks
        self._expected = None if spec.expected is None else min(spec.expected, _MOST_EXPECTED)
        try:
            self._reconstructor = make_reconstructor(
                recipe.method, shape=spec.shape, expected=self._expected, seed=recipe.seed, device=recipe.device, **recipe.options
            )
        except (TypeError, ValueError) as error:
            raise RunRefused(str(error)) from error
        self.options = dict(self._reconstructor.options)  # as given, defaults filled in; nothing chosen from data yet
        self.standing = Standing()

    def feed(self, batch: Batch) -> None:
        """Take further realizations.

        Raises
        ------
        RunRefused
            If the method cannot use such masks or buckets.
        """
        for first in range(0, len(batch), _AT_ONCE):
            part = batch.part(first, first + _AT_ONCE)
            try:
                self._reconstructor.update(self.masks.patterns[part.mask_index], part.bucket, part.error)
            except ValueError as error:
                raise RunRefused(str(error)) from error
        if len(batch):
            self.standing = Standing(
                realizations=self._reconstructor.count,
                seq_num_last=int(batch.seq_num[-1]),
                received=int(batch.received[-1]),
                dose=float(batch.dose[-1]),
            )
            if self._expected is not None:
                # those that were refused aren't repeated, so that all others are all that there will be
                refused = self.standing.received - self.standing.realizations
                self._reconstructor.expected = max(self._expected - refused, self.standing.realizations)

    def result(self) -> Timed:
        """The estimate now."""
        return self._timed(self._reconstructor.result)

    def finish(self) -> Timed:
        """The final estimate: the same whatever estimates were made before."""
        return self._timed(self._reconstructor.finish)

    @property
    def options_used(self) -> dict[str, object]:
        """The options with what was chosen from the data."""
        return dict(self._reconstructor.options)

    def _timed(self, compute: Callable[[], Estimate]) -> Timed:
        began = time.perf_counter()
        estimate = compute()
        return Timed(estimate, self.standing, time.perf_counter() - began)
