"""Ends ophyd statuses from whichever thread comes first."""

from __future__ import annotations

from ophyd.status import StatusBase
from ophyd.utils.errors import InvalidState


def end(status: StatusBase, error: Exception | None = None) -> bool:
    """Finish a status, with or without an error, unless something else has done so.

    `status.done` cannot tell: it turns true only later, in a thread of the status.

    Returns
    -------
    bool
        Whether it was this call that ended it.
    """
    try:
        if error is None:
            status.set_finished()
        else:
            status.set_exception(error)
    except InvalidState:
        return False
    return True
