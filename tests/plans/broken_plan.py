"""A plan in which something happens at one of its messages."""

from __future__ import annotations

from collections.abc import Callable, Generator
from functools import partial
from typing import Any

Plan = Generator[Any, Any, Any]


class Broken(Exception):
    """A plan that failed on purpose."""


def acting(plan: Plan, at: int, act: Callable[[], Any]) -> Plan:
    """Run a plan, and act before message number `at`, from 0; what that raises is raised in the plan."""
    message, number = next(plan), 0
    while True:
        try:
            if number == at:
                act()
            response = yield message
        except GeneratorExit:
            plan.close()
            raise
        except Exception as error:
            step = partial(plan.throw, error)
        else:
            step = partial(plan.send, response)
        number += 1
        try:
            message = step()
        except StopIteration as end:
            return end.value


def breaking(plan: Plan, at: int) -> Plan:
    """Run a plan that fails at message number `at`, from 0."""

    def fail() -> None:
        raise Broken

    return acting(plan, at, fail)
