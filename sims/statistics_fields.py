"""The records of areaDetector's statistics plugin (`Stats1:`, or `Current1:` of an electrometer) that bucket detectors need."""

from __future__ import annotations

from collections.abc import Iterator

from sims.asyn_group import DISABLE_ENABLE, OFF_ON, AsynGroup, Record


def statistics_records(plugin: str, result: str, units: str) -> Iterator[Record]:
    """Return the records of one plugin.

    Parameters
    ----------
    plugin : str
        Prefix of its records.
    result : str
        Which of its results is simulated, such as Total.
    units : str
        Units of the result.
    """
    yield Record(f"{plugin}EnableCallbacks", DISABLE_ENABLE, "Whether arrays come here")
    yield Record(f"{plugin}BlockingCallbacks", OFF_ON, "Whether the detector waits for the plugin; it always does")
    yield Record(f"{plugin}ComputeStatistics", OFF_ON, "Whether results are computed")
    yield Record(f"{plugin}ArrayCounter", 0, "Arrays received since 0 was written")
    yield Record(f"{plugin}{result}", 0.0, "Of the last array", "read", options={"units": units, "precision": 4})


async def compute(group: AsynGroup, plugin: str, result: str, value: float) -> None:
    """Update a plugin with the result for the next array."""
    if group.value(f"{plugin}EnableCallbacks") != "Enable":
        return
    if group.value(f"{plugin}ComputeStatistics") == "Yes":
        await group.post(f"{plugin}{result}_RBV", value)
    await group.post_pair(f"{plugin}ArrayCounter", group.value(f"{plugin}ArrayCounter") + 1)
