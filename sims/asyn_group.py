"""Records in areaDetector's style: a setpoint and its readback, whose name ends with _RBV."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from caproto import ChannelType
from caproto.server import PVGroup, pvproperty

_PATH_LENGTH = 1024  # characters
OFF_ON = ("No", "Yes")
DISABLE_ENABLE = ("Disable", "Enable")


@dataclass(frozen=True)
class Record:
    """The definition of one record.

    Parameters
    ----------
    name : str
        Name after the group's prefix, without _RBV.
    value : bool, int, float, str or tuple
        Initial value. A tuple holds the states of an enumeration; its first state is the initial value.
    doc : str
        What it means, with its unit.
    kind : str
        "pair": setpoint and readback. "read": a readback alone. "one": a setpoint without readback. "status": a record that
        only the simulation writes, without _RBV.
    long : bool
        Text of more than 39 characters, as a waveform of characters.
    options : dict
        Further arguments of caproto's pvproperty, such as units; `value` if an enumeration starts with another state.
    """

    name: str
    value: Any
    doc: str
    kind: str = "pair"
    long: bool = False
    options: dict[str, Any] = field(default_factory=dict)

    def properties(self) -> Iterator[tuple[str, pvproperty]]:
        """Yield the records for caproto to serve, with their names."""
        if self.kind == "status":
            yield self.name, self._property(self.name, read_only=True)
        if self.kind in ("pair", "one"):
            yield self.name, self._property(self.name, put=_putter(self.name, self.kind == "pair"))
        if self.kind in ("pair", "read"):
            yield f"{self.name}_RBV", self._property(f"{self.name}_RBV", read_only=True)

    def _property(self, name: str, **more: Any) -> pvproperty:
        options = {"name": name, "value": self.value, "doc": self.doc, **self.options, **more}
        if isinstance(self.value, tuple):
            first = self.options.get("value", self.value[0])
            options.update(value=first, dtype=ChannelType.ENUM, enum_strings=self.value)
        elif self.long:
            options.update(dtype=ChannelType.CHAR, max_length=_PATH_LENGTH, string_encoding="utf-8")
        elif isinstance(self.value, str):
            options.update(dtype=ChannelType.STRING)
        elif isinstance(self.value, float):
            options.setdefault("precision", 6)
        return pvproperty(**options)


def serve(*records: Record) -> dict[str, pvproperty]:
    """Return the attributes with which a class body serves these records."""
    return {re.sub(r"\W", "_", name): made for record in records for name, made in record.properties()}


def inert(names: str, value: Any, doc: str, kind: str = "pair", **options: Any) -> tuple[Record, ...]:
    """Return records that clients look for and that do nothing here; `names` holds their names, separated by spaces."""
    return tuple(Record(name, value, doc, kind, options=options) for name in names.split())


class AsynGroup(PVGroup):
    """A group of such records: a value that is written appears in the readback, unless `on_put` says otherwise."""

    async def on_put(self, name: str, value: Any) -> Any:
        """Act on a put; return the value to keep, or raise SkipWrite or ValueError."""
        return value

    def value(self, name: str) -> Any:
        """Return the value of a record of this group."""
        return self.pvdb[self.prefix + name].value

    async def post(self, name: str, value: Any) -> None:
        """Give a record another value; nothing is sent if the value is the same."""
        if self.value(name) != value:
            await self.pvdb[self.prefix + name].write(value, verify_value=False)

    async def post_pair(self, name: str, value: Any) -> None:
        """Give a setpoint and its readback another value."""
        await self.post(name, value)
        await self.post(f"{name}_RBV", value)


def _putter(name: str, paired: bool) -> Callable[[Any, Any, Any], Any]:
    async def put(group: AsynGroup, instance: Any, value: Any) -> Any:
        kept = await group.on_put(name, value)
        if paired:
            await group.post(f"{name}_RBV", kept)
        return kept

    return put
