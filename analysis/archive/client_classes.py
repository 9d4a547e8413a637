"""Which class of Tiled's client represents which kind of node, so that one client's choice does not affect another's."""

from __future__ import annotations

from functools import partial
from typing import Any

from tiled.utils import OneShotCachedMap


class _OwnClasses(OneShotCachedMap):
    """A table of classes that is independent of its copies.

    A catalogue of runs copies the table and changes the copy for `v2`. Tiled's own copy shares its content, so that `cat.v2`
    also changes `cat`, for the lifetime of the process.
    """

    @classmethod
    def of(cls, table: Any) -> _OwnClasses:
        """The same classes in a separate table; each is still imported on first use."""
        return cls({name: partial(table.__getitem__, name) for name in table})

    def __copy__(self) -> _OwnClasses:
        return self.of(self)


def with_own_classes(client: Any) -> Any:
    """The same client, whose `v1` and `v2` affect neither it nor any other client."""
    return client.new_variation(structure_clients=_OwnClasses.of(client.structure_clients))
