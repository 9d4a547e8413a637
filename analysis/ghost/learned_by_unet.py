"""The methods whose network is the U-net of Noise2Ghost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from .learned import Learned

if TYPE_CHECKING:
    import torch


class LearnedByUNet(Learned):
    """A method whose network is the U-net of Noise2Ghost."""

    usual_steps: ClassVar[int] = 400
    live_warm_up: ClassVar[int] = 100
    """Without it the network learned less in 400 steps, by 0.3 to 5 dB."""

    defaults: ClassVar[dict[str, Any]] = {
        **Learned.defaults,
        "learning_rate": 1e-2,
        "features": 24,
        "levels": 3,
    }
    whole: ClassVar[dict[str, tuple[int, int | None]]] = {**Learned.whole, "features": (1, 1024), "levels": (0, None)}

    def _network(self, generator: torch.Generator) -> torch.nn.Module:
        from analysis.imaging.unet import UNet, fitting_levels

        self._chosen["levels"] = fitting_levels(self.shape, self._given["levels"])
        return UNet(self._given["features"], self._chosen["levels"], generator)
