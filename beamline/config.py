"""The configuration of a beamline: one model, read from `beamline.toml`.

A value can also come from the environment, which beats the file: `GHOSTBEAM_TILED__PORT=8123` sets `port` in `[tiled]`.
Nothing in here touches EPICS: this module may be imported before libca is loaded, and must be, because libca reads its
environment once.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, SettingsError

from beamline.config_checks import PREFIX, check_variables, expanded, http_uri, json_options
from beamline.config_errors import ConfigError, explain, read_toml

CONFIG_VARIABLE = "GHOSTBEAM_CONFIG"
KEY_VARIABLE = "GHOSTBEAM_TILED_API_KEY"
DEFAULT_FILE = "beamline.toml"


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class EpicsSection(_Section):
    """How Channel Access is reached."""

    prefix: str = Field("GB:", description="Text before every PV name below; empty where those are full names.")
    addresses: list[str] = Field(
        [], description="Hosts or host:port to search for PVs (EPICS_CA_ADDR_LIST). Not used when simulated."
    )
    auto_addresses: bool = Field(
        True, description="Whether to search the local networks too (EPICS_CA_AUTO_ADDR_LIST). Not used when simulated."
    )
    max_array_bytes: int = Field(
        16_777_216, ge=16_384, description="Largest array that Channel Access carries, in bytes (EPICS_CA_MAX_ARRAY_BYTES)."
    )
    connection_timeout_s: float = Field(5.0, gt=0, le=600, description="How long to wait for PVs to answer, in s.")
    read_timeout_s: float = Field(2.0, gt=0, le=600, description="How long to wait for a value, in s.")
    write_timeout_s: float = Field(10.0, gt=0, le=600, description="How long to wait until a write has been done, in s.")


class MaskStageSection(_Section):
    """The stage that brings a mask into the beam."""

    y: str = Field("MASK:Y", description="Motor record of the vertical axis.")
    x: str = Field("MASK:X", description="Motor record of the horizontal axis.")
    units: Literal["mm", "um"] = Field("mm", description="Units of both motor records; EGU must say the same.")
    move_timeout_s: float = Field(60.0, gt=0, le=3600, description="Longest time that a move may take, in s.")
    offset_tolerance_um: float | None = Field(
        None,
        gt=0,
        description="Distance from a mask's position beyond which a realization is not to be trusted, in um. "
        "Default: a quarter of a mask pixel.",
    )

    @model_validator(mode="after")
    def _axes_differ(self) -> Self:
        if self.y == self.x:
            raise ValueError(f"y and x must differ: both name the motor {self.y!r}")
        return self


class SampleStageSection(_Section):
    """The stage that carries the sample."""

    y: str = Field("SAMPLE:Y", description="Motor record of the vertical axis.")
    x: str = Field("SAMPLE:X", description="Motor record of the horizontal axis, along which lines of fly scans run.")
    units: Literal["mm", "um"] = Field("mm", description="Units of both motor records; EGU must say the same.")
    move_timeout_s: float = Field(
        60.0, gt=0, le=3600, description="Longest time that a move to the beginning of a line may take, in s."
    )

    @model_validator(mode="after")
    def _axes_differ(self) -> Self:
        if self.y == self.x:
            raise ValueError(f"y and x must differ: both name the motor {self.y!r}")
        return self


class ShutterSection(_Section):
    """The shutter: two buttons and a status."""

    pv: str = Field(
        "SHUTTER:", description="Text before Cmd:Opn-Cmd, Cmd:Cls-Cmd, Pos-Sts and the failure flags; empty: there is no shutter."
    )
    timeout_s: float = Field(10.0, gt=0, le=600, description="Longest time that opening or closing may take, in s.")


class DiodeSection(_Section):
    """The bucket diode and the incident-beam monitor, two channels of one scaler record."""

    scaler: str = Field("SCALER", description="The scaler record.")
    bucket_channel: int = Field(3, ge=1, le=64, description="Scaler channel that counts the bucket diode.")
    monitor_channel: int = Field(2, ge=1, le=64, description="Scaler channel that counts the incident-beam monitor.")
    open_beam_ratio: float = Field(
        1.0, gt=0, description="Bucket counts for each monitor count with neither mask plate nor sample in the beam."
    )
    saturation_rate: float | None = Field(
        1e8,
        gt=0,
        description="Highest bucket counts per second that the counting chain can follow, such as the top frequency of a "
        "voltage-to-frequency converter. Buckets within 1 % of it are saturated.",
    )
    count_margin_s: float = Field(
        2.0, gt=0, le=600, description="How much longer than its exposure a count may take before it counts as lost, in s."
    )

    @model_validator(mode="after")
    def _channels_differ(self) -> Self:
        if self.bucket_channel == self.monitor_channel:
            raise ValueError("bucket_channel and monitor_channel must differ: one channel cannot count both")
        return self


class PixelDetectorSection(_Section):
    """The pixel detector: an areaDetector whose IOC writes frames into HDF5 files."""

    pv: str = Field("PIX:", description="Text before cam1: and HDF1:; empty: there is no such detector.")
    trigger_mode: str = Field(
        "External", min_length=1, description="Text of cam1:TriggerMode that makes one frame of each pulse of the trigger box."
    )
    max_rate_hz: float = Field(3000.0, gt=0, description="Most frames a second that the detector can take, in Hz.")
    dead_time_s: float = Field(0.0, ge=0, le=10, description="Time between exposures that the detector needs, in s.")
    frame_timeout_s: float = Field(
        5.0, gt=0, le=600, description="How long to wait for a frame that does not come before it counts as missing, in s."
    )
    saturation_counts: int | None = Field(
        None, gt=0, description="Counts in a pixel from which it is saturated. Default: not checked."
    )
    pixel_um: float = Field(100.0, gt=0, description="Edge of a pixel, in um.")
    distance_mm: float = Field(10_000.0, gt=0, description="Distance from the sample to the detector, in mm.")
    geometry: Literal["far_field", "near_field"] = Field(
        "far_field", description="Whether the detector sees diffraction patterns of the far field, or of the near field."
    )


class TriggerBoxSection(_Section):
    """The box that triggers the pixel detector where the stage is, and captures where that was; its fields are a Zebra's."""

    pv: str = Field("TRIG:", description="Text before PC_ARM, PC_GATE_START and the other fields; empty: there is no box.")


class BeamSection(_Section):
    """What tells whether there is beam, and when a scan is to wait for it."""

    energy_kev: float = Field(11.1, gt=0, description="Photon energy, in keV.")

    ring_current: str = Field("RING:Current", description="Ring current, in mA; empty: there is none.")
    minimum_ma: float = Field(20.0, ge=0, description="Ring current below which scans wait, in mA; 0: never wait for it.")
    minimum_monitor_rate: float = Field(
        0.0, ge=0, description="Monitor counts per second below which an exposure is repeated later; 0: not checked."
    )
    settle_s: float = Field(5.0, ge=0, le=3600, description="How long to wait after the beam is back, in s.")


class MaskPlateSection(_Section):
    """Which plate is on the mask stage: a preset, or a file written by `MaskPlate.save`."""

    preset: Literal["copper", "gold", "gold-random"] = Field(
        "gold", description="Plate of the paper: copper (32x32, 150 um) or gold (64x64, 10 um; Hadamard or random masks)."
    )
    num: int | None = Field(None, ge=1, le=65_536, description="How many masks a gold plate has; default: 4096, random 1024.")
    seed: int = Field(0, ge=0, description="Seed of the random masks.")
    file: Path | None = Field(None, description="NPZ file of another plate; it takes the place of the preset.")

    @field_validator("file")
    @classmethod
    def _expanded(cls, file: Path | None) -> Path | None:
        return None if file is None else expanded(file)


class TiledSection(_Section):
    """The Tiled server. Its API key is never in this file: it comes from GHOSTBEAM_TILED_API_KEY or is made on first use."""

    host: str = Field("127.0.0.1", min_length=1, description="Address to which the server that the session starts is bound.")
    port: int = Field(8020, ge=1, le=65_535, description="Port of the server that the session starts.")
    uri: str | None = Field(None, description="A server that runs already, http(s)://...; then none is started.")
    database_uri: str | None = Field(None, description="Catalogue database, such as postgresql://...; default: SQLite.")
    table_uri: str | None = Field(None, description="Database of the tables, such as postgresql://...; default: SQLite.")
    redis_uri: str | None = Field(None, description="Streaming cache, redis://...; default: the server's memory.")

    @field_validator("uri")
    @classmethod
    def _is_http(cls, uri: str | None) -> str | None:
        return None if uri is None else http_uri(uri)

    @field_validator("table_uri")
    @classmethod
    def _loses_no_rows(cls, uri: str | None) -> str | None:
        # Tiled with DuckDB tables drops rows while another client reads them.
        if uri is not None and uri.startswith("duckdb"):
            raise ValueError("DuckDB tables lose rows under concurrent readers: use sqlite:/// or postgresql://")
        return uri


class SimulationSection(_Section):
    """The simulated beamline; used when `simulated` is true."""

    sample: str = Field("CAS", min_length=1, description="Name of a simulated sample, or an image file.")
    speed: float = Field(1.0, gt=0, le=100_000, description="How many times faster than in life the devices move and count.")
    seed: int = Field(0, ge=0, description="Seed of the simulated physics.")
    photons: float = Field(1e4, gt=0, description="Photons per second on one open mask pixel.")
    coherent_sample: Literal["star", "fibres"] = Field("star", description="What the pixel detector sees the diffraction of.")
    flux: float = Field(4e7, gt=0, lt=1e12, description="Photons per second in the zone plate's cone, all on the pixel detector.")
    frames: Literal["diffraction", "pattern"] = Field(
        "diffraction", description="`pattern` recycles 64 frames, whatever the sample does: for tests of speed."
    )
    ca_port: int = Field(
        5964, ge=1, le=65_534, description="Port at which the simulated PVs are served, on 127.0.0.1; a repeater takes the next."
    )


class ReconstructionSection(_Section):
    """What the reconstruction worker does with runs that ask for nothing else."""

    methods: list[str] = Field(["tv", "n2g"], min_length=1, description="Methods to run on each run, in this order.")
    options: dict[str, dict[str, Any]] = Field(
        {}, description="Options of each method: [reconstruction.options.METHOD]; the method itself checks them."
    )
    threads: int = Field(1, ge=1, le=1024, description="Threads of each reconstruction.")
    niceness: int = Field(
        0,
        ge=0,
        le=19,
        description="Niceness of the worker's process; each reconstruction adds 5 to it, a slow one 10. "
        "19 yields to everything else; where Linux shares the processor among sessions first (autogroup), "
        "only to the worker's own.",
    )
    longest_s: float = Field(
        21_600.0, gt=0, description="How long one estimate may take, in seconds; a reconstruction that needs longer is ended."
    )

    @field_validator("options")
    @classmethod
    def _are_json(cls, options: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        return json_options(options)

    @property
    def recipes(self) -> list[dict[str, Any]]:
        """The recipes as they stand in a start document."""
        return [{"method": method, "options": dict(self.options.get(method, {}))} for method in self.methods]


class GhostbeamConfig(BaseSettings):
    """Everything that differs from one beamline to another."""

    model_config = SettingsConfigDict(
        extra="forbid", frozen=True, env_prefix=PREFIX, env_nested_delimiter="__", allow_inf_nan=False
    )

    beamline_id: str = Field("ghostbeam", min_length=1, description="Name of the beamline; every start document carries it.")
    simulated: bool = Field(True, description="Whether to start simulated IOCs and talk to those.")
    state_dir: Path = Field(
        Path(".ghostbeam"),
        description="Folder for the document log, catalogue, keys and service state; relative to the file that names it.",
    )
    frames_dir: Path | None = Field(
        None,
        description="Folder for the files of frames that detectors write, under the same name on the detector's IOC; "
        "relative to the file that names it. Default: frames, below state_dir.",
    )
    epics: EpicsSection = Field(EpicsSection(), description="How Channel Access is reached.")
    mask_stage: MaskStageSection = Field(MaskStageSection(), description="The mask stage.")
    sample_stage: SampleStageSection = Field(SampleStageSection(), description="The sample stage.")
    shutter: ShutterSection = Field(ShutterSection(), description="The shutter.")
    diode: DiodeSection = Field(DiodeSection(), description="The bucket diode.")
    pixel_detector: PixelDetectorSection = Field(PixelDetectorSection(), description="The pixel detector.")
    trigger_box: TriggerBoxSection = Field(TriggerBoxSection(), description="The trigger box.")
    beam: BeamSection = Field(BeamSection(), description="Ring current and the waiting for beam.")
    mask_plate: MaskPlateSection = Field(MaskPlateSection(), description="The mounted mask plate.")
    tiled: TiledSection = Field(TiledSection(), description="The Tiled server.")
    simulation: SimulationSection = Field(SimulationSection(), description="The simulated beamline.")
    reconstruction: ReconstructionSection = Field(ReconstructionSection(), description="The reconstruction worker.")

    @field_validator("state_dir", "frames_dir", mode="before")
    @classmethod
    def _is_named(cls, folder: Any) -> Any:
        if folder == "":
            raise ValueError("must name a folder")
        return folder

    @field_validator("state_dir", "frames_dir")
    @classmethod
    def _expanded(cls, folder: Path | None) -> Path | None:
        return None if folder is None else expanded(folder)

    @property
    def frames_folder(self) -> Path:
        """Where detectors write their files."""
        return self.state_dir / "frames" if self.frames_dir is None else self.frames_dir

    @model_validator(mode="after")
    def _ports_differ(self) -> Self:
        ca_port = self.simulation.ca_port
        if self.simulated and self.tiled.uri is None and self.tiled.port in (ca_port, ca_port + 1):
            raise ValueError(
                f"[tiled] port {self.tiled.port} is taken by the simulated PVs: [simulation] ca_port is {ca_port}, and they need "
                "the next one too. Change either"
            )
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Let the environment beat the values of the file, which arrive as arguments."""
        return env_settings, init_settings


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


def epics_environment(config: GhostbeamConfig) -> dict[str, str]:
    """Say which environment variables make libca find the PVs; simulated ones are looked for on loopback only."""
    repeater = {}
    if config.simulated:
        addresses, auto = [f"127.0.0.1:{config.simulation.ca_port}"], False
        # A repeater of its own: one that is shared ends with whoever started it, and libca then complains.
        repeater = {"EPICS_CA_REPEATER_PORT": str(config.simulation.ca_port + 1)}
    else:
        addresses, auto = config.epics.addresses, config.epics.auto_addresses
    environment = {
        **repeater,
        "EPICS_CA_AUTO_ADDR_LIST": "YES" if auto else "NO",
        "EPICS_CA_MAX_ARRAY_BYTES": str(config.epics.max_array_bytes),
    }
    # Without a list of our own, what the machine's administrators have set stays in force.
    if addresses:
        environment["EPICS_CA_ADDR_LIST"] = " ".join(addresses)
    return environment


def apply_epics_environment(config: GhostbeamConfig) -> None:
    """Set EPICS_CA_* for this process; to be called before ophyd is imported.

    Raises
    ------
    ConfigError
        If libca has already been loaded with other settings, which it would go on using.
    """
    environment = epics_environment(config)
    changes = {name for name, value in environment.items() if os.environ.get(name) != value}
    if changes and "epics.ca" in sys.modules:
        raise ConfigError(
            f"Channel Access is already in use with another {' and '.join(sorted(changes))}: "
            "call apply_epics_environment before anything imports ophyd"
        )
    os.environ.update(environment)
