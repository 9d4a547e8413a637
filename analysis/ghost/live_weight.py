"""The weight of total variation while realizations come: chosen again now and then, and carried on in between."""

from __future__ import annotations

from dataclasses import dataclass

_AGAIN = 1.25
"""It is chosen again when the realizations have become more by this factor."""

_LAST_CHOICE = 1000
"""Realizations from which on it is only carried on. At moderate noise the best weight for 64x64 pixels rises from next to nothing
at 400 realizations to its place at 800, while what a choice costs grows with their number."""


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
