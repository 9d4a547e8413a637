"""Which class of Tiled's client stands for what, so that one client's choice is not another's."""

from __future__ import annotations

from functools import partial
from typing import Any

from tiled.utils import OneShotCachedMap


class _OwnClasses(OneShotCachedMap):
    """A table of classes whose copy is another table.

    A catalogue of runs copies the table and changes the copy for `v2`. Tiled's own copy shares its content, so that `cat.v2`
    changes `cat` as well, for as long as the process lives.
    """

    @classmethod
    def of(cls, table: Any) -> _OwnClasses:
        """The same classes in a table of their own; each is still imported when it is first needed."""
        return cls({name: partial(table.__getitem__, name) for name in table})

    def __copy__(self) -> _OwnClasses:
        return self.of(self)


def with_own_classes(client: Any) -> Any:
    """The same client, whose `v1` and `v2` leave it, and every other one, as they are."""
    return client.new_variation(structure_clients=_OwnClasses.of(client.structure_clients))
