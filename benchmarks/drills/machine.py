"""Failures of the machine: its wall clock jumps, its disk is full. Both need a mount namespace."""

from __future__ import annotations

import time
from itertools import count

from benchmarks.drills.chain import SCAN_S, Chain
from benchmarks.drills.namespace import Namespace

_STEPS_S = (1, -2, 30)
_FULL_S = 3.0


class Machine:
    """The drills that change the machine's state.

    Parameters
    ----------
    namespace : Namespace
        The namespace with the clock and the disk.
    """

    def __init__(self, namespace: Namespace) -> None:
        self._namespace = namespace
        self._numbers = count()

    def clock(self, chain: Chain) -> str:
        """The wall clock jumps by +1, -2, +30 s in turn during a scan, and archiver or worker is restarted afterwards."""
        number = next(self._numbers)
        step = _STEPS_S[number % len(_STEPS_S)]
        restarted = ("worker", "archiver")[number % 2]
        moment = chain.random.uniform(0.3, 1.0)  # early, because the search for dead sessions runs every two seconds

        def jump() -> None:
            self._namespace.shift_clock(step)
            chain.services.kill(restarted)
            chain.services.start(restarted)

        with chain.meanwhile(moment, jump):
            uid = chain.scan()
        return f"clock shifted by {step:+d} s {moment:.1f} s after the scan had begun, {restarted} restarted; {chain.settle(uid)}"

    def disk_full(self, chain: Chain) -> str:
        """No space for three seconds of a scan: it is aborted, and the documents logged before are kept."""
        moment = chain.random.uniform(0.5, SCAN_S - 1.0)

        def fill_and_free() -> None:
            self._namespace.fill_disk()
            time.sleep(_FULL_S)
            self._namespace.free_disk()

        with chain.meanwhile(moment, fill_and_free):
            uid = chain.scan()
        logged = len(chain.accepted[uid])
        return f"disk full {moment:.1f} s after the scan had begun, {logged} documents logged; {chain.settle(uid)}"
