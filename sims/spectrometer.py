"""A spectrometer with several detector elements: an MCA record for each, and the commands that start them together."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from caproto import ChannelType, SkipWrite
from caproto.server import PVGroup, SubGroup, pvproperty

from sims import mca_fields
from sims.faults import Faults
from sims.fluorescence import BIN_KEV, BINS, Spectrum
from sims.light import Light
from sims.one_shot import OneShot
from sims.physics import Counts

ELEMENTS = 4

Expose = Callable[[float, float], Awaitable[list[Spectrum]]]
"""Returns the spectra of an exposure of some seconds, a fraction (0 to 1) of which has light."""


class _Mca(PVGroup):
    record = pvproperty(
        name="", value=[0] * BINS, dtype=ChannelType.LONG, record="mca", read_only=True, doc="MCA record: counts in each bin"
    )


class _Rates(PVGroup):
    input_rate = pvproperty(name="InputCountRate", value=0.0, units="Hz", read_only=True, doc="Photons per second that arrived")
    output_rate = pvproperty(name="OutputCountRate", value=0.0, units="Hz", read_only=True, doc="Photons a second counted")


class SpectrometerFaults(PVGroup):
    """Switches for faults of the spectrometer."""

    dead_elements = pvproperty(
        name="DeadElements",
        value=0,
        doc="Detector elements that count nothing: 1 for the first, 2 the second, 4 the third; added up",
    )
    no_live_time = pvproperty(
        name="NoLiveTime", value=0, doc="Number of next exposures that report a live time of 0 s. Counts down"
    )

    @property
    def dead(self) -> frozenset[int]:
        """The dead detector elements, counted from 0."""
        return frozenset(number for number in range(ELEMENTS) if int(self.dead_elements.value) >> number & 1)

    async def use_up(self, switch: Any) -> bool:
        """Return whether a switch that counts down is on for this exposure."""
        if switch.value <= 0:
            return False
        await switch.write(switch.value - 1)
        return True


class Spectrometer(PVGroup):
    """A DXP system with several detector elements, as seen by its clients.

    Parameters
    ----------
    prefix : str
    expose : callable
        Makes one exposure of the experiment.
    light : Light
    faults : Faults
        Says which triggers are lost or late.
    defects : SpectrometerFaults
    speed : float
        Divides the counting time; the counts remain those of the full preset.

    Notes
    -----
    A put to EraseStart completes when counting has ended and the spectra are written. StopAll ends counting early and keeps
    the counts so far.
    """

    async def _start(self, instance: Any, value: int) -> None:
        if value:
            await self._shot.begin()
        raise SkipWrite

    async def _stop_now(self, instance: Any, value: int) -> None:
        await self._shot.end()
        raise SkipWrite

    async def _check_preset(self, instance: Any, value: float) -> None:
        if not 0 < value < 1e6:
            raise ValueError(f"{instance.pvname} must be above 0 s, not {value}")

    erase_start = pvproperty(name="EraseStart", value=0, put=_start, doc="Write 1 to erase and count; completes when counted")
    stop_all = pvproperty(name="StopAll", value=0, put=_stop_now, doc="Write 1 to stop counting")
    preset_real = pvproperty(name="PresetReal", value=1.0, units="s", precision=3, put=_check_preset, doc="Seconds to count")
    preset_mode = pvproperty(
        name="PresetMode", value="Real time", dtype=ChannelType.ENUM, enum_strings=("No preset", "Real time", "Live time"),
        doc="Real time: counts for PresetReal seconds",
    )  # fmt: skip
    acquiring = pvproperty(
        name="Acquiring", value="Done", dtype=ChannelType.ENUM, enum_strings=("Done", "Acquiring"), read_only=True,
        doc="Whether it counts",
    )  # fmt: skip
    dead_time = pvproperty(
        name="DeadTime", value=0.0, units="%", precision=2, read_only=True, doc="Mean dead time of the last exposure"
    )
    for _number in range(1, ELEMENTS + 1):
        locals()[f"mca{_number}"] = SubGroup(_Mca, prefix=f"mca{_number}")
        locals()[f"dxp{_number}"] = SubGroup(_Rates, prefix=f"dxp{_number}:")
    del _number

    def __init__(
        self,
        prefix: str,
        *,
        expose: Expose,
        light: Light,
        faults: Faults,
        defects: SpectrometerFaults,
        speed: float = 1.0,
        **kwargs: Any,
    ):
        super().__init__(prefix, **kwargs)
        self._expose, self._defects = expose, defects
        self._spectra: list[Spectrum] = []
        self._shot = OneShot(self._busy, self._measure, expose=self._counts, light=light, faults=faults, speed=speed)

    async def initialise(self) -> None:
        """Fill the fields; call it before the server answers."""
        for number in range(1, ELEMENTS + 1):
            fields = getattr(self, f"mca{number}").record.field_inst
            await fields.used_bins.write(BINS)
            await fields.slope.write(BIN_KEV)

    async def _busy(self, acquiring: bool) -> None:
        await self.acquiring.write("Acquiring" if acquiring else "Done", verify_value=False)

    async def _measure(self) -> None:
        counts = await self._shot.counts(self.preset_real.value)
        if counts.seconds:
            await self._show(self._spectra)

    async def _counts(self, seconds: float, lit: float) -> Counts:
        self._spectra = await self._expose(seconds, lit)
        return Counts(float(sum(spectrum.counts.sum() for spectrum in self._spectra)), 0.0, seconds)

    async def _show(self, spectra: list[Spectrum]) -> None:
        no_live_time = await self._defects.use_up(self._defects.no_live_time)
        for number, spectrum in enumerate(spectra, start=1):
            record, rates = getattr(self, f"mca{number}").record, getattr(self, f"dxp{number}")
            await record.write(spectrum.counts, verify_value=False)
            fields = record.field_inst
            await fields.elapsed_real.write(spectrum.real_s)
            await fields.elapsed_live.write(0.0 if no_live_time else spectrum.live_s)
            await rates.input_rate.write(spectrum.input_hz)
            await rates.output_rate.write(spectrum.output_hz)
            await self._count_regions(fields, spectrum)
        live = sum(spectrum.live_s for spectrum in spectra) / max(sum(spectrum.real_s for spectrum in spectra), 1e-12)
        await self.dead_time.write(100 * (1 - live))

    async def _count_regions(self, fields: Any, spectrum: Spectrum) -> None:
        for region in range(mca_fields.REGIONS):
            low, high = getattr(fields, f"lo_{region}").value, getattr(fields, f"hi_{region}").value
            if 0 <= low <= high:
                counts = float(spectrum.counts[low : high + 1].sum())
                await getattr(fields, f"region_{region}").write(counts)
                await getattr(fields, f"net_{region}").write(counts)
