"""The whole configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

from pydantic import Field, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from beamline.config.buckets import CameraSumSection, DiodeSection, ElectrometerSection
from beamline.config.checks import PREFIX, expanded
from beamline.config.connections import EpicsSection, TiledSection
from beamline.config.frames import DualCameraSection, PixelDetectorSection, TriggerBoxSection, XrayCameraSection
from beamline.config.light import BeamSection, PinholeSection, ShutterSection, ZonePlateSection
from beamline.config.masks import MaskPlateSection
from beamline.config.reconstruction import ReconstructionSection
from beamline.config.simulation import SimulationSection
from beamline.config.spectrometer import XrfSpectrometerSection
from beamline.config.stages import MaskStageSection, RotationStageSection, SampleStageSection


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
    rotation_stage: RotationStageSection = Field(RotationStageSection(), description="The rotation.")
    shutter: ShutterSection = Field(ShutterSection(), description="The shutter.")
    diode: DiodeSection = Field(DiodeSection(), description="The bucket diode.")
    electrometer: ElectrometerSection = Field(ElectrometerSection(), description="An electrometer as the bucket detector.")
    camera_sum: CameraSumSection = Field(CameraSumSection(), description="A camera as the bucket detector.")
    xrf_spectrometer: XrfSpectrometerSection = Field(XrfSpectrometerSection(), description="The fluorescence spectrometer.")
    pixel_detector: PixelDetectorSection = Field(PixelDetectorSection(), description="The pixel detector.")
    trigger_box: TriggerBoxSection = Field(TriggerBoxSection(), description="The trigger box.")
    dual_camera: DualCameraSection = Field(DualCameraSection(), description="The camera that takes frame pairs.")
    xray_camera: XrayCameraSection = Field(XrayCameraSection(), description="The camera for radiographs.")
    pinhole: PinholeSection = Field(PinholeSection(), description="The pinhole of raster scans.")
    zone_plate: ZonePlateSection = Field(ZonePlateSection(), description="The zone plate.")
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
