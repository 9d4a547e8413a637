"""The fields of a scaler record, as a record type that caproto can serve: caproto itself has none."""

from __future__ import annotations

from caproto import ChannelType
from caproto.server import pvproperty
from caproto.server.records.base import RecordFieldGroup
from caproto.server.records.utils import copy_pvproperties, register_record

CHANNELS = 32
CLOCK_HZ = 1e7


def _channel_fields() -> dict[str, pvproperty]:
    """Make S, NM, PR and G of every channel."""
    fields = {}
    for channel in range(1, CHANNELS + 1):
        fields[f"counts_{channel}"] = pvproperty(
            name=f"S{channel}", value=0.0, doc=f"Counts of channel {channel}", read_only=True
        )
        fields[f"name_{channel}"] = pvproperty(
            name=f"NM{channel}", value="", dtype=ChannelType.STRING, doc=f"Name of channel {channel}"
        )
        fields[f"preset_{channel}"] = pvproperty(name=f"PR{channel}", value=0.0, doc=f"Preset of channel {channel}, counts")
        fields[f"gate_{channel}"] = pvproperty(
            name=f"G{channel}",
            value="N",
            dtype=ChannelType.ENUM,
            enum_strings=("N", "Y"),
            doc=f"Whether channel {channel} ends the counting at its preset",
        )
    return fields


@register_record
class ScalerFields(RecordFieldGroup):
    """Fields of the synApps scaler record that its clients use."""

    _record_type = "scaler"
    _dtype = ChannelType.DOUBLE
    copy_pvproperties(locals(), RecordFieldGroup)
    locals().update(_channel_fields())

    count = pvproperty(
        name="CNT",
        value="Done",
        dtype=ChannelType.ENUM,
        enum_strings=("Done", "Count"),
        doc="Write 1 to count for TP seconds, 0 to stop early; completes when counting has ended",
    )
    count_mode = pvproperty(
        name="CONT",
        value="OneShot",
        dtype=ChannelType.ENUM,
        enum_strings=("OneShot", "AutoCount"),
        doc="Count on request. Continuous counting (AutoCount) is not simulated",
    )
    preset_time = pvproperty(name="TP", value=1.0, precision=3, units="s", doc="Seconds to count")
    auto_preset_time = pvproperty(name="TP1", value=1.0, precision=3, units="s", doc="Seconds of an AutoCount")
    elapsed_time = pvproperty(name="T", value=0.0, precision=7, units="s", doc="Seconds counted", read_only=True)
    delay = pvproperty(name="DLY", value=0.0, precision=3, units="s", doc="Seconds from the trigger to the start")
    auto_delay = pvproperty(name="DLY1", value=0.0, precision=3, units="s", doc="Seconds before an AutoCount")
    frequency = pvproperty(name="FREQ", value=CLOCK_HZ, units="Hz", doc="Frequency of the clock on channel 1")
    rate = pvproperty(name="RATE", value=0.0, units="Hz", doc="Display updates while counting; none are made")
    auto_rate = pvproperty(name="RAT1", value=0.0, units="Hz", doc="Display updates in AutoCount; none are made")
    engineering_units = pvproperty(name="EGU", value="counts", dtype=ChannelType.STRING, doc="Units")
    display_precision = pvproperty(name="PREC", value=0, doc="Digits to display")
