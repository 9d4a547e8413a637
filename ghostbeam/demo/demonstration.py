"""What a technique gives to its demo."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from bluesky.utils import MsgGenerator

from beamline.config import GhostbeamConfig

if TYPE_CHECKING:  # devices load libca, which reads the configuration's addresses once
    from beamline.factory import Devices

Tables = Mapping[str, Mapping[str, Any]]
"""Keys of beamline.toml by the table that they are in."""


@dataclass(frozen=True)
class Scan:
    """A scan that is about to begin.

    Attributes
    ----------
    opening : str
        What it does, as a sentence for people.
    plan : generator
        Runs it.
    total : int
        Rows that it will measure.
    """

    opening: str
    plan: MsgGenerator[Any]
    total: int


class Demonstration(Protocol):
    """The demo of one technique."""

    @property
    def rows(self) -> str:
        """What is counted while it scans, in the plural."""

    @property
    def methods(self) -> tuple[str, ...]:
        """What reconstructs it, the best one last."""

    @property
    def again(self) -> str:
        """The method of the replay that is proposed at the end."""

    def configuration(self, seed: int) -> Tables:
        """What beamline.toml holds for it alone."""

    def scan(self, config: GhostbeamConfig, devices: Devices) -> Scan:
        """Make the beamline ready, and return what is to be done."""

    def rows_in(self, name: str, doc: Mapping[str, Any]) -> int:
        """How many rows a document of the scan brings."""

    def sample(self, config: GhostbeamConfig, shape: tuple[int, ...]) -> np.ndarray | None:
        """The true sample as an image of that shape, where there is one to compare with."""

    def in_session(self, uid: str) -> Mapping[str, str]:
        """What else a session can show of the run: what it is, and what to type."""
