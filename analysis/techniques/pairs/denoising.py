"""Denoising of a series: fitted to its first pairs, applied to all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from analysis.documents.batch import Batch
from analysis.documents.recipe import Recipe
from analysis.estimate import Estimate, Quantity
from analysis.pairs.halves import Halves
from analysis.pairs.independence import Independence, changed, independence, independence_in_time
from analysis.pairs.prepared import Pair, prepared, registered
from analysis.pairs.trust import Denoiser, trust
from analysis.techniques.made_rows import MadeRows
from analysis.techniques.pairs.intake import PairIntake
from analysis.techniques.pairs.layout import Layout
from analysis.techniques.pairs.methods import MethodInfo

DENOISED = "denoised"
_MOVED = 0.3  # fraction of the smoothed change that both images share


class PairDenoising:
    """One method applied to one series.

    It is fitted to the first `pairs` pairs, and the halves of all pairs are registered like those of the first one. The
    result for a pair depends only on these and on the pair itself.

    Parameters
    ----------
    layout : Layout
    method : MethodInfo
    recipe : Recipe
    source : callable
        Returns the intake; called when the first documents have arrived, because there is no intake before.

    Raises
    ------
    ValueError
        If an option is invalid.
    """

    def __init__(self, layout: Layout, method: MethodInfo, recipe: Recipe, source: Callable[[], PairIntake]) -> None:
        self.options: dict[str, Any] = method.checked_options(recipe.options)
        if recipe.device != "cpu":
            raise ValueError(f"{method.name} runs on the CPU alone: leave the device out")
        self._layout, self._method, self._seed = layout, method, recipe.seed
        self._source = source
        self._first: list[tuple[np.ndarray, np.ndarray]] = []
        # two pairs of a static scene show whether the noise is independent
        self._awaited = max(self.options["pairs"], 2 if layout.static and layout.expected != 1 else 1)
        self._numbers: list[int] = []  # of the pairs that wait for the fit
        self._fit: _Fit | None = None
        self._newest: tuple[int, int, Pair, np.ndarray] | None = None  # its index in the series, its number, the pair, its image
        self._count = 0
        self._still: Pair | None = None  # the first pair of a static scene
        self._moved = False
        self._made = MadeRows(DENOISED)

    @property
    def series(self) -> Mapping[str, Quantity]:
        """The quantities stored for every pair."""
        return {DENOISED: Quantity("denoised pair", "counts", "<f4", self._layout.pair_shape, ("y", "x"))}

    def update(self, batch: Batch) -> None:
        """Take further pairs."""
        for number, a, b in zip(batch.number.tolist(), batch.columns["a"], batch.columns["b"], strict=True):
            if self._fit is None:
                self._first.append((a, b))
                self._numbers.append(number)
                if len(self._first) == self._awaited:
                    self._fit_to_first()
            else:
                self._denoise(number, prepared(a, b, self._fit.halves))

    def take_rows(self) -> Batch | None:
        """The denoised pairs since the last call, (B, H, W); None if there are none."""
        return self._made.take()

    def result(self) -> Estimate:
        """The newest pair, denoised; an empty image before the first pairs have arrived."""
        if self._newest is None:
            return Estimate({DENOISED: np.full(self._layout.pair_shape, np.nan, dtype="<f4")})
        assert self._fit is not None
        place, number, pair, denoised = self._newest
        tested = self._fit.tested if self._fit.tested is not None and place <= self.options["pairs"] else pair.measured
        judged = trust(self._fit.denoiser, pair, denoised, tested)
        figures = {name: float(value) for name, value in vars(judged).items() if name != "spread"}
        noise, halves = self._fit.noise, self._fit.halves
        figures |= {"noise_across": noise.across, "noise_along_y": noise.along_y, "noise_along_x": noise.along_x}
        figures |= {"shift_y": halves.shift[0], "shift_x": halves.shift[1], "gain_ratio": halves.gain, "number": float(number)}
        figures["learned_above_floor"] = self._fit.denoiser.learned_above_floor
        return Estimate({DENOISED: denoised, "mean": pair.mean, "spread": judged.spread}, figures)

    def finish(self) -> Estimate:
        """The last pair, denoised."""
        if self._fit is None:
            self._fit_to_first()
        return self.result()

    def _fit_to_first(self) -> None:
        halves = registered(*self._first[0], same_place=self._layout.consecutive)
        pairs = [prepared(a, b, halves) for a, b in self._first]
        taught = pairs[: self.options["pairs"]]
        noise = self._source().noise_of_flats(halves) or _noise(pairs, static=self._layout.static)
        refusals = {"pair": noise.refusal_of_pairs(), "neighbours": noise.refusal_of_blind_spots()}
        if self._method.learns_from is not None and (refusal := refusals[self._method.learns_from]):
            raise ValueError(refusal)
        self._remark_on(halves, noise)
        denoiser, tested = self._method.fit(taught, self.options, self._seed, self._layout.expected == 1)
        self._fit = _Fit(halves, noise, denoiser, tested)
        for number, pair in zip(self._numbers, pairs, strict=True):
            self._denoise(number, pair)
        self._first.clear()

    def _denoise(self, number: int, pair: Pair) -> None:
        assert self._fit is not None
        denoised = self._fit.denoiser.pair(pair)
        self._count += 1
        if self._layout.static and not self._moved:
            self._look_for_motion(number, pair)
        self._newest = (self._count, number, pair, denoised)
        self._made.add(number, denoised)

    def _remark_on(self, halves: Halves, noise: Independence) -> None:
        remarks = [noise.refusal_of_pairs(), noise.doubt(), noise.refusal_of_blind_spots()]
        if self._layout.consecutive and any(halves.shift):
            drift = ", ".join(f"{step:.2f}" for step in halves.shift)
            remarks.append(f"the scene drifts: the second frame of a pair was shifted by ({drift}) pixels (y, x)")
        for remark in remarks:
            if remark is not None:
                self._source().remark(remark)

    def _look_for_motion(self, number: int, pair: Pair) -> None:
        assert self._fit is not None
        if self._still is None:
            self._still = pair
        elif changed(self._still, pair) > _MOVED + self._fit.noise.across:
            self._moved = True
            self._source().remark(f"the scene was said to be static, and has moved by pair {number}: do not average it")


class _Fit:
    """The result of the fit to the first pairs."""

    def __init__(self, halves: Halves, noise: Independence, denoiser: Denoiser, tested: np.ndarray | None) -> None:
        self.halves, self.noise, self.denoiser, self.tested = halves, noise, denoiser, tested


def _noise(pairs: list[Pair], *, static: bool) -> Independence:
    """Whether the noise is independent: from the change between pairs if the scene is static, else from the first pair alone."""
    if static and len(pairs) > 1:
        return independence_in_time(np.stack([pair.a for pair in pairs]), np.stack([pair.b for pair in pairs]))
    return independence(pairs[0].a, pairs[0].b)
