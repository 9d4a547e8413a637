"""Opening and closing the shutter by hand, or as an item of a queue."""

# Annotations stay objects here: queueserver reads parameter types from them and cannot use strings.
from bluesky.protocols import Movable
from bluesky.utils import MsgGenerator

from plans import stubs
from plans.preprocessors import checked_plan
from plans.request import check_shutter


@checked_plan
def open_shutter(shutter: Movable | None = None) -> MsgGenerator[None]:
    """Open the shutter and wait until it is open. It stays open.

    Parameters
    ----------
    shutter : device, optional
        Default: the session's shutter.

    Raises
    ------
    ShutterFailed
        If it does not open.
    """
    return stubs.open_shutter(check_shutter(shutter, "open_shutter"))


@checked_plan
def close_shutter(shutter: Movable | None = None) -> MsgGenerator[None]:
    """Close the shutter and wait until it is closed.

    Parameters
    ----------
    shutter : device, optional
        Default: the session's shutter.

    Raises
    ------
    ShutterFailed
        If it does not close.
    """
    return stubs.close_shutter(check_shutter(shutter, "close_shutter"))
