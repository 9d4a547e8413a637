"""The weight of total variation while realizations come: chosen again now and then, and carried on in between."""

from __future__ import annotations

from dataclasses import dataclass

_AGAIN = 1.25
"""It is chosen again when the realizations have become more by this factor."""

_LAST_CHOICE = 1000
"""Realizations from which on it is only carried on. At moderate noise the best weight for 64x64 pixels rises from next to nothing
at 400 realizations to its place at 800, while what a choice costs grows with their number."""

_UNDECIDED, _LEAST = 1 / 8, 1e-2
"""Of fewer realizations than this part of the pixels cross-validation can hardly tell weights apart, and often picks the
smallest. It is then kept above this part of the weight that flattens the image: what a network learns by heart from the first
realizations it never quite forgets (1.3 dB at the end of a scan in a trial)."""


def least_live_weight(flattening: float, count: int, pixels: int) -> float:
    """Return the least weight to train with on `count` realizations, given the weight that flattens the image."""
    return _LEAST * flattening if count < _UNDECIDED * pixels else 0.0


@dataclass(frozen=True)
class LiveWeight:
    """A weight and the realizations for which it was chosen, 0 if none was.

    A fixed one, given by the user, is the same for any number of realizations.
    """

    weight: float = 0.0
    count: int = 0
    fixed: bool = False

    def is_due(self, count: int) -> bool:
        """Whether to choose a weight for `count` realizations."""
        return self.count == 0 or (not self.fixed and self.count < _LAST_CHOICE and count >= _AGAIN * self.count)

    def of(self, count: int) -> float:
        """Return the weight for `count` realizations: in proportion to them, as is the weight that flattens the image."""
        return self.weight if self.fixed else self.weight * count / self.count
