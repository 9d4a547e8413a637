"""What an experiment does: plans, the stubs they are made of, preprocessors, suspenders and start-document metadata."""

from plans.dark import dark_scan
from plans.fly import fly_scan
from plans.ghost import ghost_scan
from plans.open_beam import open_beam_scan
from plans.pairs import dark_flat_series, frame_pair_series, static_series
from plans.ptycho import ptycho_scan
from plans.shutter import close_shutter, open_shutter

__all__ = [
    "close_shutter",
    "dark_flat_series",
    "dark_scan",
    "fly_scan",
    "frame_pair_series",
    "ghost_scan",
    "open_beam_scan",
    "open_shutter",
    "ptycho_scan",
    "static_series",
]
