"""Wraps plans so that the shutter ends closed, and gives plans their devices and the methods that there are."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import bluesky.preprocessors as bpp
from bluesky.protocols import Movable
from bluesky.utils import MsgGenerator, make_decorator

from plans.recipes import CheckRecipe, Methods, check_recipes
from plans.stubs import close_shutter

PlanFunction = Callable[..., MsgGenerator[Any]]


def closed_shutter_wrapper(plan: MsgGenerator[Any], shutter: Movable | None) -> MsgGenerator[Any]:
    """Close the shutter after a plan, however the plan ends.

    The shutter is staged around the plan, because the RunEngine unstages devices even when it is halted and skips all
    cleanup, and `Shutter.unstage` closes. In every other case it is closed, and waited for, before that.

    Parameters
    ----------
    plan : generator
        May open and close the shutter as it likes.
    shutter : Movable, optional
        Without one the plan is left as it is.
    """
    if shutter is None:
        return (yield from plan)
    guarded = bpp.finalize_wrapper(plan, close_shutter(shutter))
    return (yield from bpp.stage_wrapper(guarded, [shutter]))


closed_shutter_decorator = make_decorator(closed_shutter_wrapper)


def checked_plan(plan: PlanFunction) -> PlanFunction:
    """Mark a function that checks what is asked for, and then returns the generator, as a plan.

    So impossible plans are refused when they are called, and not only when the RunEngine starts them. queueserver takes
    generator functions for plans, and those that are marked so.
    """
    plan._is_plan_ = True  # type: ignore[attr-defined]
    return plan


def use_devices(plan: PlanFunction, **devices: Any) -> PlanFunction:
    """Make a plan use these devices by default.

    Parameters
    ----------
    plan : callable
        A plan with a keyword for each. Its name, signature and docstring are kept.
    **devices
        Such as `shutter=shutter`.

    Returns
    -------
    callable
    """

    @wraps(plan)
    def with_devices(*args: Any, **kwargs: Any) -> MsgGenerator[Any]:
        for parameter, device in devices.items():
            if kwargs.get(parameter) is None:
                kwargs[parameter] = device
        return plan(*args, **kwargs)

    return checked_plan(with_devices)


def use_methods(plan: PlanFunction, methods: Methods, check_recipe: CheckRecipe | None = None) -> PlanFunction:
    """Make a plan refuse impossible recipes before anything moves.

    Parameters
    ----------
    plan : callable
        A plan with the keyword `recipes`. Its name, signature and docstring are kept.
    methods : mapping of str to mapping
        The methods that there are, each with its options and their default values.
    check_recipe : callable, optional
        Raises ValueError for a recipe whose options have impossible values.

    Returns
    -------
    callable
    """

    @wraps(plan)
    def with_methods(*args: Any, **kwargs: Any) -> MsgGenerator[Any]:
        check_recipes(kwargs.get("recipes"), methods, check_recipe)
        return plan(*args, **kwargs)

    return checked_plan(with_methods)
