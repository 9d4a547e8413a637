"""What the hardware is: ophyd devices, the mask plate, typed configuration, and the factory that connects them.

Nothing here scans or analyses, and importing it opens nothing. Importing `beamline.factory` or a device's module loads libca,
so that comes after `beamline.config.apply_epics_environment`.
"""

from beamline.mask_plate import MaskPlate, MaskPlateError

__all__ = ["MaskPlate", "MaskPlateError"]
