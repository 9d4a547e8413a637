"""Reads the configuration from its file and the environment."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_settings import SettingsError

from beamline.config.checks import check_variables, expanded
from beamline.config.errors import ConfigError, explain, read_toml
from beamline.config.model import GhostbeamConfig

CONFIG_VARIABLE = "GHOSTBEAM_CONFIG"
KEY_VARIABLE = "GHOSTBEAM_TILED_API_KEY"
DEFAULT_FILE = "beamline.toml"


def config_file(path: str | Path | None = None) -> Path | None:
    """The file that `load_config` reads; None where there is none, and everything is as by default."""
    named = path if path is not None else os.environ.get(CONFIG_VARIABLE) or None
    if named is None and Path(DEFAULT_FILE).is_file():
        named = DEFAULT_FILE
    try:
        return None if named is None else expanded(Path(named)).absolute()
    except ValueError as error:
        raise ConfigError(f"the configuration file {named}: {error}") from None


def load_config(path: str | Path | None = None) -> GhostbeamConfig:
    """Read the configuration.

    Parameters
    ----------
    path : str or Path, optional
        The file. Default: what the environment variable GHOSTBEAM_CONFIG names, else ./beamline.toml if there is one,
        else the defaults, which are a simulated beamline.

    Returns
    -------
    GhostbeamConfig
        With absolute paths: relative ones are taken from the file's folder, or from the working directory where no
        file was read.

    Raises
    ------
    ConfigError
        If the file cannot be read or something in it cannot be right. It names each key and the cure.
    """
    file = config_file(path)
    check_variables(os.environ, GhostbeamConfig.model_fields, (CONFIG_VARIABLE, KEY_VARIABLE))
    values = {} if file is None else read_toml(file)
    source = "the environment" if file is None else str(file)
    try:
        config = GhostbeamConfig(**values)
    except ValidationError as error:
        raise ConfigError(explain(error, GhostbeamConfig, source)) from None
    except SettingsError as error:
        raise ConfigError(f"{source}: {error}. A GHOSTBEAM_... variable sets one key, as in GHOSTBEAM_TILED__PORT=8123") from None
    return _with_absolute_paths(config, Path.cwd() if file is None else file.parent)


def _with_absolute_paths(config: GhostbeamConfig, folder: Path) -> GhostbeamConfig:
    updates: dict[str, Any] = {"state_dir": folder / config.state_dir}
    if config.frames_dir is not None:
        updates["frames_dir"] = folder / config.frames_dir
    if config.mask_plate.file is not None:
        file = folder / config.mask_plate.file
        updates["mask_plate"] = config.mask_plate.model_copy(update={"file": file})
    sample = folder / config.simulation.sample
    if sample.is_file():
        updates["simulation"] = config.simulation.model_copy(update={"sample": str(sample)})
    return config.model_copy(update=updates)
