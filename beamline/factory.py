"""Builds the devices of the configuration, and connects them."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from typing import Any

from ophyd import Device
from ophyd.ophydobj import OphydObject
from ophyd.signal import EpicsSignalBase

from beamline.buckets.camera_sum import CameraSum, MonitoredCameraSum
from beamline.buckets.electrometer import Electrometer, MonitoredElectrometer
from beamline.buckets.one_shot import OneShotBucket
from beamline.buckets.scaler import BucketDiode
from beamline.buckets.xrf_spectrometer import XrfSpectrometer, make_xrf_spectrometer
from beamline.config import GhostbeamConfig
from beamline.config.frames import DualCameraSection, PixelDetectorSection, XrayCameraSection
from beamline.frames.dual_camera import DualCamera
from beamline.frames.pixel_detector import PixelDetector
from beamline.frames.trigger_box import AngleBox, TriggerBox
from beamline.frames.values import Optics, ZonePlate
from beamline.frames.xray_camera import XrayCamera
from beamline.mask_stage import MaskStage
from beamline.motion.rotation_stage import RotationStage
from beamline.motion.sample_stage import SampleStage
from beamline.pinhole import Pinhole
from beamline.ring_current import RingCurrent
from beamline.shutter import Shutter, ShutterWithFailures


class DevicesNotConnected(TimeoutError):
    """Some devices did not answer."""


class DevicesUnusable(RuntimeError):
    """Some devices differ from the configuration."""


@dataclass(frozen=True)
class Devices:
    """The devices of the beamline; iterate over those that there are, or take them by name."""

    mask_stage: MaskStage
    sample_stage: SampleStage | None
    shutter: Shutter | None
    diode: BucketDiode | None
    electrometer: Electrometer | None
    camera_sum: CameraSum | None
    xrf_spectrometer: XrfSpectrometer | None
    ring_current: RingCurrent | None
    pixel_detector: PixelDetector | None
    trigger_box: TriggerBox | None
    dual_camera: DualCamera | None
    xray_camera: XrayCamera | None
    rotation_stage: RotationStage | None
    angle_box: AngleBox | None
    pinhole: Pinhole | None

    def __iter__(self) -> Iterator[OphydObject]:
        return (device for field in fields(self) if (device := getattr(self, field.name)) is not None)

    @property
    def buckets(self) -> list[OneShotBucket]:
        """The bucket detectors."""
        return [device for device in self if isinstance(device, OneShotBucket)]


def make_mask_stage(config: GhostbeamConfig) -> MaskStage:
    """Build the mask stage; no plate is mounted yet."""
    section = config.mask_stage
    return MaskStage(
        config.epics.prefix,
        y=section.y,
        x=section.x,
        units=section.units,
        move_timeout_s=section.move_timeout_s,
        offset_tolerance_um=section.offset_tolerance_um,
        name="mask_stage",
    )


def make_sample_stage(config: GhostbeamConfig) -> SampleStage | None:
    """Build the sample stage, if there is one."""
    section = config.sample_stage
    if not section.y:
        return None
    return SampleStage(
        config.epics.prefix,
        y=section.y,
        x=section.x,
        units=section.units,
        move_timeout_s=section.move_timeout_s,
        name="sample_stage",
    )


def make_shutter(config: GhostbeamConfig) -> Shutter | None:
    """Build the shutter, if there is one."""
    section = config.shutter
    if not section.pv:
        return None
    prefix = config.epics.prefix + section.pv
    logic: dict[str, Any] = {
        "open_pv": section.open,
        "open_value": section.open_value,
        "close_pv": section.close,
        "close_value": section.close_value,
        "status_pv": section.status,
        "status_open": section.status_open,
        "timeout_s": section.timeout_s,
    }
    if not section.open_failure:
        return Shutter(prefix, name="shutter", **logic)
    failures = {"open_failure_pv": section.open_failure, "close_failure_pv": section.close_failure}
    return ShutterWithFailures(prefix, name="shutter", **logic, **failures)


def make_diode(config: GhostbeamConfig) -> BucketDiode | None:
    """Build the bucket diode, if there is one."""
    section = config.diode
    if not section.scaler:
        return None
    return BucketDiode(
        config.epics.prefix + section.scaler,
        bucket_channel=section.bucket_channel,
        monitor_channel=section.monitor_channel,
        open_beam_ratio=section.open_beam_ratio,
        photons_per_monitor_count=section.photons_per_monitor_count,
        saturation_rate=section.saturation_rate,
        count_margin_s=section.count_margin_s,
        name="diode",
    )


def make_electrometer(config: GhostbeamConfig) -> Electrometer | None:
    """Build the electrometer, if there is one."""
    section = config.electrometer
    if not section.pv:
        return None
    prefix = config.epics.prefix + section.pv
    settings: dict[str, Any] = {
        "bucket_channel": section.bucket_channel,
        "open_beam_ratio": section.open_beam_ratio,
        "saturation_current": section.saturation_current,
        "count_margin_s": section.count_margin_s,
        "name": "electrometer",
    }
    if section.monitor_channel is None:
        return Electrometer(prefix, **settings)
    return MonitoredElectrometer(prefix, monitor_channel=section.monitor_channel, **settings)


def make_camera_sum(config: GhostbeamConfig) -> CameraSum | None:
    """Build the camera whose pixels are summed, if there is one."""
    section = config.camera_sum
    if not section.pv:
        return None
    prefix = config.epics.prefix + section.pv
    settings: dict[str, Any] = {
        "statistics": section.statistics,
        "open_beam_ratio": section.open_beam_ratio,
        "saturation_total": section.saturation_total,
        "count_margin_s": section.count_margin_s,
        "name": "camera_sum",
    }
    if not section.monitor_statistics:
        return CameraSum(prefix, **settings)
    return MonitoredCameraSum(prefix, monitor_statistics=section.monitor_statistics, **settings)


def make_spectrometer(config: GhostbeamConfig) -> XrfSpectrometer | None:
    """Build the fluorescence spectrometer, if there is one."""
    section = config.xrf_spectrometer
    if not section.pv:
        return None
    return make_xrf_spectrometer(
        config.epics.prefix + section.pv,
        section.detector_elements,
        bins=section.bins,
        elements=section.elements,
        energy_kev=config.beam.energy_kev,
        offset_kev=section.offset_kev,
        slope_kev=section.slope_kev,
        lowest_kev=section.lowest_kev,
        buckets=section.buckets,
        count_margin_s=section.count_margin_s,
        name="xrf_spectrometer",
    )


def make_ring_current(config: GhostbeamConfig) -> RingCurrent | None:
    """Build the ring current, in mA, if it can be read."""
    if not config.beam.ring_current:
        return None
    return RingCurrent(config.epics.prefix + config.beam.ring_current, auto_monitor=True, name="ring_current")


def make_pinhole(config: GhostbeamConfig) -> Pinhole | None:
    """Build the pinhole, if there is one."""
    section = config.pinhole
    if not section.pv:
        return None
    return Pinhole(config.epics.prefix + section.pv, size_um=section.size_um, move_timeout_s=section.timeout_s, name="pinhole")


def make_zone_plate(config: GhostbeamConfig) -> ZonePlate | None:
    """Return what is known of the zone plate, if there is one."""
    section = config.zone_plate
    if not section.diameter_um:
        return None
    return ZonePlate(section.diameter_um, section.outermost_zone_nm, section.central_stop_um, section.defocus_mm)


def _frame_settings(
    config: GhostbeamConfig, section: PixelDetectorSection | DualCameraSection | XrayCameraSection
) -> dict[str, Any]:
    """Return what every detector that writes frames is configured with."""
    return {
        "frames_dir": str(config.frames_folder),
        "max_rate_hz": section.max_rate_hz,
        "dead_time_s": section.dead_time_s,
        "frame_timeout_s": section.frame_timeout_s,
        "saturation_counts": section.saturation_counts,
    }


def make_pixel_detector(config: GhostbeamConfig) -> PixelDetector | None:
    """Build the pixel detector, if there is one."""
    section = config.pixel_detector
    if not section.pv:
        return None
    return PixelDetector(
        config.epics.prefix + section.pv,
        optics=Optics(config.beam.energy_kev, section.distance_mm, section.pixel_um, section.geometry, make_zone_plate(config)),
        trigger_mode=section.trigger_mode,
        name="pixel_detector",
        **_frame_settings(config, section),
    )


def make_trigger_box(config: GhostbeamConfig) -> TriggerBox | None:
    """Build the trigger box, if there is one."""
    if not config.trigger_box.pv:
        return None
    return TriggerBox(config.epics.prefix + config.trigger_box.pv, name="trigger_box")


def make_dual_camera(config: GhostbeamConfig) -> DualCamera | None:
    """Build the camera that takes frame pairs, if there is one."""
    section = config.dual_camera
    if not section.pv:
        return None
    return DualCamera(
        config.epics.prefix + section.pv,
        sensor=section.sensor,
        halves=section.windows,
        pixel_um=section.pixel_um,
        name="dual_camera",
        **_frame_settings(config, section),
    )


def make_xray_camera(config: GhostbeamConfig) -> XrayCamera | None:
    """Build the camera for radiographs, if there is one."""
    section = config.xray_camera
    if not section.pv:
        return None
    return XrayCamera(
        config.epics.prefix + section.pv,
        sensor=section.sensor,
        pixel_um=section.pixel_um,
        trigger_mode=section.trigger_mode,
        kernel=section.kernel,
        name="xray_camera",
        **_frame_settings(config, section),
    )


def make_rotation_stage(config: GhostbeamConfig) -> RotationStage | None:
    """Build the rotation, if there is one."""
    section = config.rotation_stage
    if not section.motor:
        return None
    return RotationStage(config.epics.prefix, motor=section.motor, move_timeout_s=section.move_timeout_s, name="rotation_stage")


def make_angle_box(config: GhostbeamConfig, box: TriggerBox | None) -> AngleBox | None:
    """Build what triggers where the rotation is, if there are a trigger box and a rotation."""
    if box is None or not config.rotation_stage.motor:
        return None
    return AngleBox(box, name="angle_box")


def make_devices(config: GhostbeamConfig) -> Devices:
    """Build all devices. They look for their PVs from now on; `connect` waits for them.

    The plate is not mounted: see `beamline.plates.make_plate` and `MaskStage.mount`.
    """
    set_epics_timeouts(config)
    box = make_trigger_box(config)
    return Devices(
        mask_stage=make_mask_stage(config),
        sample_stage=make_sample_stage(config),
        shutter=make_shutter(config),
        diode=make_diode(config),
        electrometer=make_electrometer(config),
        camera_sum=make_camera_sum(config),
        xrf_spectrometer=make_spectrometer(config),
        ring_current=make_ring_current(config),
        pixel_detector=make_pixel_detector(config),
        trigger_box=box,
        dual_camera=make_dual_camera(config),
        xray_camera=make_xray_camera(config),
        rotation_stage=make_rotation_stage(config),
        angle_box=make_angle_box(config, box),
        pinhole=make_pinhole(config),
    )


def set_epics_timeouts(config: GhostbeamConfig) -> None:
    """Set ophyd's timeouts, if nothing has been built yet: ophyd allows no change after that."""
    with contextlib.suppress(RuntimeError):
        EpicsSignalBase.set_defaults(
            connection_timeout=config.epics.connection_timeout_s,
            timeout=config.epics.read_timeout_s,
            write_timeout=config.epics.write_timeout_s,
        )


def connect(devices: Iterable[OphydObject], timeout_s: float = 5.0) -> None:
    """Wait until all devices have answered. They are waited for together, not one after the other.

    Parameters
    ----------
    devices : iterable of ophyd objects
        Such as a `Devices`.
    timeout_s : float
        How long to wait for all of them, in s.

    Raises
    ------
    DevicesNotConnected
        Naming every device that did not answer, with the PVs.
    DevicesUnusable
        Naming every device that counts in another unit than the configuration says.
    """
    wanted = waiting = list(devices)
    deadline = time.monotonic() + timeout_s
    while True:
        waiting = [device for device in waiting if not device.connected]
        if not waiting:
            return _check_usable(wanted)
        if time.monotonic() > deadline:
            break
        time.sleep(0.02)
    lines = []
    for device in waiting:
        signals = list(_signals(device))
        silent = [signal.pvname for signal in signals if not signal.connected]
        named = ", ".join(silent[:3]) + (", ..." if len(silent) > 3 else "")
        lines.append(f"  {device.name}: {named} ({len(silent)} of {len(signals)} PVs)")
    raise DevicesNotConnected(
        f"{len(lines)} of the devices did not answer within {timeout_s:g} s:\n" + "\n".join(lines) + "\n"
        "Are the IOCs running, and are the prefix and the addresses in [epics] of beamline.toml right? "
        "Simulated ones are started with `ghostbeam up`."
    )


def _check_usable(devices: Iterable[OphydObject]) -> None:
    stages = (MaskStage, SampleStage, RotationStage)
    problems = [why for device in devices if isinstance(device, stages) and (why := device.why_unusable())]
    if problems:
        raise DevicesUnusable("\n".join(problems))


def _signals(device: OphydObject) -> Iterator[Any]:
    walked = (item.item for item in device.walk_signals()) if isinstance(device, Device) else (device,)
    return (signal for signal in walked if hasattr(signal, "pvname"))
