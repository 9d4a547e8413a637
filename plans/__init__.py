"""What an experiment does: plans, the stubs they are made of, preprocessors, suspenders and start-document metadata."""

from plans.dark import dark_scan
from plans.fly import fly_scan
from plans.ghost import ghost_scan
from plans.mask_calibration import mask_calibration
from plans.open_beam import open_beam_scan
from plans.pairs import frame_pair_series
from plans.ptycho import ptycho_scan
from plans.radiographs import radiograph_series
from plans.raster import raster_scan
from plans.series import dark_flat_series, static_series
from plans.shutter import close_shutter, open_shutter
from plans.tomo import tomo_scan

__all__ = [
    "close_shutter",
    "dark_flat_series",
    "dark_scan",
    "fly_scan",
    "frame_pair_series",
    "ghost_scan",
    "mask_calibration",
    "open_beam_scan",
    "open_shutter",
    "ptycho_scan",
    "radiograph_series",
    "raster_scan",
    "static_series",
    "tomo_scan",
]
