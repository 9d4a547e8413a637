"""The fields of an MCA record, as a record type that caproto can serve: caproto itself has none."""

from __future__ import annotations

from caproto import ChannelType
from caproto.server import pvproperty
from caproto.server.records.records import RecordFieldGroup
from caproto.server.records.utils import copy_pvproperties, register_record

REGIONS = 32


def _region_fields() -> dict[str, pvproperty]:
    """Make R, N, LO, HI and NM of every region of interest."""
    fields = {}
    for region in range(REGIONS):
        name = f"R{region}"
        fields[f"region_{region}"] = pvproperty(name=name, value=0.0, doc=f"Counts in region {region}", read_only=True)
        fields[f"net_{region}"] = pvproperty(
            name=f"{name}N", value=0.0, doc=f"The same: no background is subtracted from region {region}", read_only=True
        )
        for end, word in (("LO", "First"), ("HI", "Last")):
            fields[f"{end.lower()}_{region}"] = pvproperty(name=name + end, value=-1, doc=f"{word} bin of region {region}, or -1")
        fields[f"label_{region}"] = pvproperty(
            name=f"{name}NM", value="", dtype=ChannelType.STRING, doc=f"Name of region {region}"
        )
    return fields


@register_record
class McaFields(RecordFieldGroup):
    """Fields of the synApps MCA record that its clients use."""

    _record_type = "mca"
    _dtype = ChannelType.LONG
    copy_pvproperties(locals(), RecordFieldGroup)
    locals().update(_region_fields())

    preset_real = pvproperty(name="PRTM", value=1.0, precision=3, units="s", doc="Seconds to count")
    preset_live = pvproperty(name="PLTM", value=0.0, precision=3, units="s", doc="Seconds of live time to count; not used")
    elapsed_real = pvproperty(name="ERTM", value=0.0, precision=6, units="s", doc="Seconds counted", read_only=True)
    elapsed_live = pvproperty(name="ELTM", value=0.0, precision=6, units="s", doc="Live time, s", read_only=True)
    stop = pvproperty(name="STOP", value=0, doc="Write 1 to StopAll instead: the elements are stopped together")
    mode = pvproperty(
        name="MODE", value="PHA", dtype=ChannelType.ENUM, enum_strings=("PHA", "MCS", "List"), doc="Pulse heights are sorted"
    )
    used_bins = pvproperty(name="NUSE", value=4096, doc="Bins in use")
    offset = pvproperty(name="CALO", value=0.0, precision=6, units="keV", doc="Energy of bin 0, as entered")
    slope = pvproperty(name="CALS", value=0.005, precision=6, units="keV", doc="Energy of one bin, as entered")
    background = pvproperty(name="BG", value=0, doc="Background; not used")
