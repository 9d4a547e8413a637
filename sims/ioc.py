"""The soft IOC: one process that serves the records of a simulated beamline."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from caproto.asyncio.server import Context
from caproto.server import PVGroup, pvproperty

from sims.blade import Blade
from sims.camera import Camera, TriggeredCamera
from sims.camera_sum import CameraSum
from sims.diffraction import FrameOptions
from sims.electrometer import Electrometer
from sims.experiment import Experiment
from sims.faults import Faults
from sims.fluorescence import Spectrum
from sims.frame_faults import FrameFaults, PairFaults, PanelFaults
from sims.frame_pairs import PairOptions
from sims.hdf_plugin import HdfPlugin
from sims.light import Light
from sims.motor_record import MotorRecord
from sims.physics import Counts
from sims.scaler_record import ScalerRecord
from sims.shutter import Shutter
from sims.spectrometer import Spectrometer, SpectrometerFaults
from sims.trigger_box import Listener, TriggerBox
from sims.triggers import Triggers
from sims.xray_frames import XrayOptions

HOST = "127.0.0.1"
_MASK_SPEED_MM_S = 5.0
_SAMPLE_LIMITS_MM = (-25.0, 25.0)
_NO_LIMITS = (0.0, 0.0)
_ROTATION_DEG_S = 30.0
_CURRENT_STEP_MA = 0.01  # resolution of the ring current's reading


@dataclass(frozen=True)
class Stage:
    """The mechanics of the mask stage.

    Parameters
    ----------
    play_um : float
        Lost motion of the drives, um.
    jitter_um : float
        Standard deviation of the encoders' errors, um.
    """

    play_um: float = 0.3
    jitter_um: float = 0.1

    def __post_init__(self) -> None:
        for name, value in (("play", self.play_um), ("jitter", self.jitter_um)):
            if not value >= 0:
                raise ValueError(f"the {name} of the mask stage must be 0 um or more, not {value!r}")


class _Ring(PVGroup):
    current = pvproperty(name="Current", value=0.0, record="ai", units="mA", precision=2, read_only=True, doc="Ring current")


class _Pinhole(PVGroup):
    inserted = pvproperty(name="In", value=0, doc="1: a pinhole of one mask pixel is in the beam, and no mask. 0: it is out")


class _Simulation(PVGroup):
    ready = pvproperty(name="Ready", value=0, read_only=True, doc="1 once everything is served")


class SimulatedBeamline:
    """The records of the beamline, wired to one experiment.

    Parameters
    ----------
    prefix : str
        Prefix of the names of all PVs.
    experiment : Experiment
    stage : Stage
    speed : float
        Divides the times that devices take. Counts remain those of the full exposure.
    frames : FrameOptions
        Options of the pixel detector.
    pairs : PairOptions
        Options of the dual camera.
    xray : XrayOptions
        Options of the X-ray camera.
    """

    def __init__(
        self,
        prefix: str,
        experiment: Experiment,
        stage: Stage | None = None,
        speed: float = 1.0,
        frames: FrameOptions | None = None,
        pairs: PairOptions | None = None,
        xray: XrayOptions | None = None,
    ):
        if not 0 < speed < float("inf"):
            raise ValueError(f"the speed factor must be above 0, not {speed!r}")
        stage = stage or Stage()
        self.experiment = experiment
        self.light = Light(asyncio.get_running_loop().time)
        self.faults = Faults(
            f"{prefix}FAULT:", on_stall=self._stall, on_alarm=self._alarm, on_problem=self._break, on_dump=self._dump
        )
        low, high = _mask_limits(experiment)
        mechanics: dict[str, Any] = {
            "velocity": _MASK_SPEED_MM_S,
            "play_mm": stage.play_um / 1000,
            "jitter_mm": stage.jitter_um / 1000,
            "speed": speed,
        }
        self.mask_axes = tuple(
            MotorRecord(f"{prefix}MASK:{name}", limits_mm=(low[axis], high[axis]), seed=(experiment.seed, axis), **mechanics)
            for axis, name in enumerate("YX")
        )
        self.sample_axes = tuple(
            MotorRecord(f"{prefix}SAMPLE:{name}", limits_mm=_SAMPLE_LIMITS_MM, velocity=2.0, speed=speed) for name in "YX"
        )
        self.rotation = MotorRecord(f"{prefix}ROT:A", limits_mm=_NO_LIMITS, velocity=_ROTATION_DEG_S, units="deg", speed=speed)
        self.shutter = Shutter(f"{prefix}SHUTTER:", light=self.light, faults=self.faults, speed=speed)
        self.blade = Blade(f"{prefix}BLADE:", light=self.light, speed=speed)
        counting: dict[str, Any] = {"expose": self._expose, "light": self.light, "faults": self.faults, "speed": speed}
        self.scaler = ScalerRecord(f"{prefix}SCALER", **counting)
        self.electrometer = Electrometer(f"{prefix}EM:", **counting)
        self.camera_sum = CameraSum(f"{prefix}SUM:", **counting)
        self.spectrometer_faults = SpectrometerFaults(f"{prefix}FAULT:")
        spectrometer = {**counting, "expose": self._expose_spectra, "defects": self.spectrometer_faults}
        self.spectrometer = Spectrometer(f"{prefix}XRF:", **spectrometer)
        frames = frames or FrameOptions(seed=experiment.seed)
        self.frame_faults = FrameFaults(f"{prefix}FAULT:", seed=experiment.seed)
        self.plugin = HdfPlugin(f"{prefix}PIX:HDF1:", options=frames, faults=self.frame_faults)
        self.frame_faults.on_full_disk = self.plugin.fill_disk
        self.frame_faults.on_writer_killed = self.plugin.kill_writer
        self.camera = TriggeredCamera(
            f"{prefix}PIX:cam1:",
            model="ultra-fast pixel detector",
            shape=frames.shape,
            plugin=self.plugin,
            place=self._sample_um,
            light=self.light,
            faults=self.frame_faults,
            speed=speed,
        )
        xray = xray or XrayOptions(seed=experiment.seed)
        self.panel_faults = PanelFaults(f"{prefix}FAULT:Xray")
        self.xray_plugin = HdfPlugin(f"{prefix}XRAY:HDF1:", options=xray, faults=self.panel_faults)
        self.panel_faults.on_full_disk = self.xray_plugin.fill_disk
        self.panel_faults.on_writer_killed = self.xray_plugin.kill_writer
        self.xray_camera = TriggeredCamera(
            f"{prefix}XRAY:cam1:",
            model="flat panel behind a scintillator",
            shape=xray.shape,
            plugin=self.xray_plugin,
            place=self._mask_um if xray.scene == "masks" else self._sample_um,
            angle=lambda: self.rotation.stage_mm,
            light=self.light,
            speed=speed,
        )
        y, x = (motor.track for motor in self.sample_axes)
        self.box = TriggerBox(
            f"{prefix}TRIG:",
            y=y,
            x=x,
            angle=self.rotation.track,
            listener=Listener(self._trigger, self._line_ended),
            reading_error_um=self.frame_faults.reading_error_um,
            speed=speed,
        )
        pairs = pairs or PairOptions(seed=experiment.seed)
        self.pair_faults = PairFaults(f"{prefix}FAULT:Dual")
        self.dual_plugin = HdfPlugin(f"{prefix}DUAL:HDF1:", options=pairs, faults=self.pair_faults)
        self.pair_faults.on_full_disk = self.dual_plugin.fill_disk
        self.pair_faults.on_writer_killed = self.dual_plugin.kill_writer
        self.dual_camera = Camera(
            f"{prefix}DUAL:cam1:",
            model="dual-frame camera",
            shape=pairs.shape,
            plugin=self.dual_plugin,
            place=self._sample_um,
            light=self.light,
            speed=speed,
        )
        self.pinhole = _Pinhole(f"{prefix}PINHOLE:")
        self.ring = _Ring(f"{prefix}RING:")
        self.simulation = _Simulation(f"{prefix}SIM:")

    @property
    def pvdb(self) -> dict[str, Any]:
        """PV names and the objects that serve them."""
        groups: tuple[PVGroup, ...] = (
            *self.mask_axes,
            *self.sample_axes,
            self.rotation,
            self.shutter,
            self.blade,
            self.scaler,
            self.electrometer,
            self.camera_sum,
            self.spectrometer,
            self.spectrometer_faults,
            self.pinhole,
            self.ring,
            self.faults,
            self.frame_faults,
            self.camera,
            self.plugin,
            self.box,
            self.pair_faults,
            self.dual_camera,
            self.dual_plugin,
            self.panel_faults,
            self.xray_camera,
            self.xray_plugin,
            self.simulation,
        )
        return {name: channel for group in groups for name, channel in group.pvdb.items()}

    async def initialise(self) -> None:
        """Give the records their first values; call it before the server answers."""
        for motor in (*self.mask_axes, *self.sample_axes, self.rotation):
            await motor.initialise()
        await self.scaler.initialise()
        await self.spectrometer.initialise()
        await self.camera.initialise()
        await self.plugin.initialise()
        await self.dual_camera.initialise()
        await self.dual_plugin.initialise()
        await self.xray_camera.initialise()
        await self.xray_plugin.initialise()
        await self._report_current()

    async def _expose(self, seconds: float, lit: float) -> Counts:
        """Make an exposure with the stages at their positions when counting ends."""
        counts = self.experiment.expose(
            seconds,
            _position(self.mask_axes),
            _position(self.sample_axes),
            pencil=bool(self.pinhole.inserted.value),
            lit=lit,
            saturated=self.faults.saturates,
        )
        await self._report_current()
        return counts

    async def _expose_spectra(self, seconds: float, lit: float) -> list[Spectrum]:
        """Expose the fluorescence detector with the mask at its position when counting ends."""
        dead = self.spectrometer_faults.dead
        pencil_mm = _position(self.sample_axes) if self.pinhole.inserted.value else None
        return self.experiment.expose_spectra(seconds, _position(self.mask_axes), pencil_mm, lit=lit, dead=dead)

    async def _trigger(self, triggers: Triggers) -> None:
        for camera in (self.camera, self.xray_camera):
            await camera.trigger(triggers)

    async def _line_ended(self) -> None:
        for camera in (self.camera, self.xray_camera):
            await camera.line_ended()

    def _sample_um(self) -> tuple[float, float]:
        y, x = _position(self.sample_axes)
        return 1000 * y, 1000 * x

    def _mask_um(self) -> tuple[float, float]:
        y, x = _position(self.mask_axes)
        return 1000 * y, 1000 * x

    async def _stall(self, axis: int) -> None:
        for number, motor in self._numbered_axes():
            motor.stalled = number == axis

    async def _alarm(self, axis: int, severity: int) -> None:
        for number, motor in self._numbered_axes():
            await motor.report_alarm(severity if number == axis else 0)

    async def _break(self, axis: int) -> None:
        for number, motor in self._numbered_axes():
            await motor.report_problem(number == axis)

    def _numbered_axes(self) -> Iterator[tuple[int, MotorRecord]]:
        return iter(enumerate((*self.mask_axes, *self.sample_axes, self.rotation), start=1))

    async def _dump(self, dumped: bool) -> None:
        self.light.set(beam=not dumped)
        await self._report_current()

    async def _report_current(self) -> None:
        current = round(self.experiment.ring_current, 2) if self.light.beam else 0.0
        if abs(current - self.ring.current.value) >= _CURRENT_STEP_MA / 2:
            await self.ring.current.write(current)


async def serve(
    prefix: str,
    port: int,
    experiment: Experiment,
    *,
    stage: Stage | None = None,
    speed: float = 1.0,
    frames: FrameOptions | None = None,
    pairs: PairOptions | None = None,
    xray: XrayOptions | None = None,
    announce: Callable[[], None] = lambda: None,
) -> None:
    """Serve a simulated beamline until the process receives SIGTERM or SIGINT.

    Parameters
    ----------
    prefix, experiment, stage, speed, frames, pairs, xray
        See `SimulatedBeamline`.
    port : int
        Port of the Channel Access server, which must be that of EPICS_CA_SERVER_PORT. Only the loopback interface is used.
    announce : callable
        Called once everything is served.

    Raises
    ------
    ValueError
        If the port or the speed is impossible.
    OSError
        If the port is in use.
    """
    if not 0 < port < 65536:
        raise ValueError(f"a port is a number from 1 to 65535, not {port}")
    beamline = SimulatedBeamline(prefix, experiment, stage, speed, frames, pairs, xray)
    await beamline.initialise()
    context = _Server(beamline.pvdb, [HOST])
    context.log.addFilter(_without_beacon_failures)

    async def ready(_: Any) -> None:
        await beamline.simulation.ready.write(1)
        announce()

    server = asyncio.create_task(context.run(startup_hook=ready))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, server.cancel)
    await server


class _Server(Context):
    """caproto's server on exactly the requested port, and without Nagle's algorithm.

    By default caproto moves on to another TCP port when the requested one is in use, so that two simulations would answer for
    one. And its sockets hold small packets back until the one before is acknowledged, 40 ms later: one move of a fast
    simulation takes that long.
    """

    async def _bind_tcp_sockets_with_consistent_port_number(self, make_socket: Any) -> tuple[int, dict[str, Any]]:
        port = self.ca_server_port
        # asyncio switches Nagle's algorithm off if the protocol is named.
        server = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.setblocking(False)
        try:
            server.bind((HOST, port))
            server.listen()
        except OSError as error:
            server.close()
            raise OSError(
                error.errno, f"port {port} on {HOST} cannot be used: {error.strerror}. Choose another with --port"
            ) from None
        return port, {HOST: server}


def _without_beacon_failures(record: logging.LogRecord) -> bool:
    """Drop caproto's complaint that its beacons reach nobody, which is normal without a repeater."""
    return "Failed to send beacon" not in record.msg


def _mask_limits(experiment: Experiment) -> tuple[list[float], list[float]]:
    """Return the stage's soft limits, low and high (y, x) in mm: the plate and two masks beyond it, out of the beam."""
    plate = experiment.plate.plate
    margin = [2 * size * plate.pixel_size_um / 1000.0 for size in plate.shape]
    low, high = plate.positions_mm.min(axis=0) - margin, plate.positions_mm.max(axis=0) + margin
    return low.tolist(), high.tolist()


def _position(axes: tuple[MotorRecord, ...]) -> tuple[float, float]:
    return axes[0].stage_mm, axes[1].stage_mm
