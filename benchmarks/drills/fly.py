"""A fly scan during which one process is killed: the detector's writer, worker, archiver, Tiled or the session.

For `FLY` the simulated detector recycles 64 frames, frame n being number n modulo 64, so that each frame in a file identifies
its number. `PTYCHOGRAPHY` takes frames of a sample; object and probe are reconstructed during the scan.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np

from beamline.config import epics_environment
from benchmarks._services import Services, wait_until
from benchmarks._session import SessionProcess
from benchmarks.drills.chain import Chain
from sims.diffraction import FrameOptions, FrameSource
from sims.triggers import Triggers

TARGETS = ("writer", "worker", "archiver", "tiled", "session")
RATE_HZ = 200.0
PATTERN = "pattern"
_SCAN_S = 2.0  # approximate duration, once the run is open
_BEGIN_S = 60.0
_OUTAGE_S = {"worker": 0.5, "archiver": 0.5, "tiled": 30.0}
_QUICK_OUTAGE_S = 4.0
_AT_ONCE = 256  # frames in memory
_FRAMES = 64


@dataclass(frozen=True)
class FlyDrill:
    """A fly scan; at a random moment, the next one of the five processes is killed.

    Attributes
    ----------
    frames : str
        Frames of the simulated detector, as for `python -m sims --frames`.
    recipes : list
        Reconstructions.
    lines, points : int
        Number of lines, and of frames in each.
    after_s : float
        How long after the scan a service may still be killed: reconstructions then make their last sweeps.
    """

    frames: str
    recipes: list[Any]
    lines: int
    points: int
    after_s: float = 0.0

    def __call__(self, chain: Chain) -> str:
        """Scan and kill; return a description of what happened."""
        target = TARGETS[len(chain.runs) % len(TARGETS)]
        session = SessionProcess(chain.services.config_file)
        of_service = target not in ("writer", "session")
        moment = chain.random.uniform(0.0, _SCAN_S + (self.after_s if of_service else 0.0))
        before = len(chain.raw.runs())

        def act() -> None:
            wait_until(lambda: len(chain.raw.runs()) > before, _BEGIN_S, "the scan")
            time.sleep(moment)
            _kill(target, chain, session)

        try:
            session.order(lines=self.lines, points=self.points, rate_hz=RATE_HZ, recipes=self.recipes)
            with chain.meanwhile(0.0, act):
                how = _answer(session)
        finally:
            session.kill()
        uid = chain.raw.runs()[-1].uid
        chain.runs[uid] = self.recipes
        return f"{target} killed {moment:.1f} s after the scan had begun, which {how}; {chain.settle(uid)}"


FLY = FlyDrill(PATTERN, ["sums"], lines=20, points=100)
_EPIE = {"method": "epie", "options": {"sweeps": 6, "averaged": 2, "orientation": "+y+x", "defocus_mm": 8.0}}
PTYCHOGRAPHY = FlyDrill("diffraction", [_EPIE], lines=24, points=16, after_s=5.0)


def _kill(target: str, chain: Chain, session: SessionProcess) -> None:
    services = chain.services
    if target == "writer":
        put = [sys.executable, "-m", "caproto.commandline.put", f"{services.config.epics.prefix}FAULT:WriterKilled", "1"]
        subprocess.run(put, check=True, stdout=subprocess.DEVNULL, env={**os.environ, **epics_environment(services.config)})
    elif target == "session":
        session.signal(signal.SIGKILL)
    else:
        services.kill(target)
        time.sleep(_QUICK_OUTAGE_S if chain.quick and target == "tiled" else _OUTAGE_S[target])
        services.start(target)


def _answer(session: SessionProcess) -> str:
    try:
        answer = session.answer()
    except RuntimeError:
        return "died with its session"
    return f"failed ({answer['error'][:60]})" if "error" in answer else f"took {answer['seconds']:.0f} s"


def pairs(chain: Chain, catalog: Any) -> Counter[str]:
    """Count frames in Tiled that do not match their number, if they identify it, and positions without such a trigger.

    Returns
    -------
    Counter
        "mispaired".
    """
    patterns = _patterns(chain.services) if chain.frames == PATTERN else None
    found: Counter[str] = Counter()
    for uid in chain.runs:
        if uid not in catalog.raw:
            continue
        run = catalog.raw[uid]
        entry = run.metadata["start"]["ptychography"]
        if patterns is not None and "frames" in run:
            parts = run["frames"].base
            numbers, images = parts[entry["frames"]["number"]], parts[entry["frames"]["image"]]
            for first in range(0, numbers.shape[0], _AT_ONCE):
                taken = slice(first, first + _AT_ONCE)
                found["mispaired"] += exchanged(images[taken], numbers[taken], patterns)
        if "positions" in run:
            found["mispaired"] += misplaced(run["positions"].base["internal"].read(), entry)
    return found


def exchanged(images: np.ndarray, numbers: np.ndarray, patterns: np.ndarray) -> int:
    """Number of frames, (n, H, W) or (n, 1, H, W), that do not match their numbers, (n,), among the patterns (64, H, W)."""
    expected = patterns[numbers % len(patterns)].reshape(len(numbers), -1)
    return int((images.reshape(len(numbers), -1) != expected).any(axis=1).sum())


def _patterns(services: Services) -> np.ndarray:
    """The frames that the simulated detector recycles, by number modulo 64; uint16 (64, H, W)."""
    numbers = np.arange(_FRAMES)
    nowhere = np.zeros(_FRAMES)
    source = FrameSource(FrameOptions(mode="pattern", seed=services.config.simulation.seed))
    return source.frames(0, Triggers(numbers, nowhere, nowhere, nowhere, 1 / RATE_HZ))


def misplaced(positions: Any, entry: dict[str, Any]) -> int:
    """Number of positions more than half a step from the planned position of the trigger with their number."""
    names, grid = entry["positions"], entry["grid"]
    (y0, y1, lines), (x0, x1, points) = grid["y_um"], grid["x_um"]
    line, point = np.divmod(positions[names["number"]].to_numpy() - 1, points)
    point = np.where(grid["snake"] & (line % 2 == 1), points - 1 - point, point)
    y_step, x_step = (y1 - y0) / (lines - 1), (x1 - x0) / (points - 1)
    y_error = positions[names["y"]].to_numpy() - (y0 + y_step * line)
    x_error = positions[names["x"]].to_numpy() - (x0 + x_step * point)
    return int(((np.abs(y_error) > abs(y_step) / 2) | (np.abs(x_error) > abs(x_step) / 2)).sum())
