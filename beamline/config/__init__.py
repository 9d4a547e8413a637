"""The configuration of a beamline: one model, read from `beamline.toml`, with a file for each subject.

A value can also come from the environment, which takes precedence over the file: `GHOSTBEAM_TILED__PORT=8123` sets `port` in
`[tiled]`. Nothing in here touches EPICS: this package may be imported before libca is loaded, and must be, because libca reads
its environment once.
"""

from beamline.config.channel_access import apply_epics_environment, epics_environment
from beamline.config.errors import ConfigError
from beamline.config.light import BeamSection
from beamline.config.load import CONFIG_VARIABLE, DEFAULT_FILE, KEY_VARIABLE, config_file, load_config
from beamline.config.model import GhostbeamConfig

__all__ = [
    "CONFIG_VARIABLE",
    "DEFAULT_FILE",
    "KEY_VARIABLE",
    "BeamSection",
    "ConfigError",
    "GhostbeamConfig",
    "apply_epics_environment",
    "config_file",
    "epics_environment",
    "load_config",
]
