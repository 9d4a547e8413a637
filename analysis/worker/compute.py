"""A reconstruction in a process of its own, for a caller that mustn't load torch and can't choose the number of threads any more.

`computed` starts `python -m analysis.worker.compute` and talks with it through its standard input and output.
"""

from __future__ import annotations

import contextlib
import os
import signal
import struct
import subprocess
import sys
import threading
from collections.abc import Generator, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from analysis.documents.derived import Standing
from analysis.documents.encoding import decode, encode
from analysis.documents.mask_store import MaskStore
from analysis.documents.realizations import Batch
from analysis.documents.recipe import Recipe
from analysis.documents.run_spec import RunRefused, RunSpec
from analysis.ghost import Estimate
from analysis.worker.reconstruction import Reconstruction, Timed

THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
"""What tells the numerical libraries how many threads to use; read when they are loaded."""


class ComputeError(RuntimeError):
    """The process that reconstructed ended in an error."""


@dataclass(frozen=True)
class Computed:
    """One estimate of a reconstruction in another process.

    Attributes
    ----------
    segment : int
        The part of `computed`'s update points that it belongs to.
    final : bool
        Whether it is the final estimate.
    timed : Timed
        The estimate, the realizations that it is made of, and what it cost.
    options : dict
        The options with all defaults.
    options_used : dict
        The options with what was chosen from the data.
    """

    segment: int
    final: bool
    timed: Timed
    options: dict[str, Any]
    options_used: dict[str, Any]


def computed(
    state_dir: Path,
    start: dict[str, Any],
    recipe: Recipe,
    batch: Batch,
    *,
    segments: Sequence[Sequence[int]] = (),
    threads: int = 1,
) -> Generator[Computed, None, None]:
    """Reconstruct in another process.

    Parameters
    ----------
    state_dir : Path
        State directory with the run's mask set.
    start : dict
        Start document of the run.
    recipe : Recipe
        How to reconstruct.
    batch : Batch
        All its used realizations.
    segments : sequence of sequence of int
        Update points: an estimate is made after so many realizations. Each segment begins anew, without what an earlier estimate
        found.
    threads : int
        Threads of the numerical libraries.

    Yields
    ------
    Computed
        The estimate at each update point, then the final one.

    Raises
    ------
    RunRefused
        If the recipe is not valid, or doesn't suit the data.
    ComputeError
        If the process ended in an error.
    """
    order = {
        "state_dir": str(state_dir),
        "start": start,
        "recipe": recipe.to_doc(),
        "columns": list(batch.columns()),
        "segments": [list(points) for points in segments],
    }
    environment = {**os.environ, **dict.fromkeys(THREAD_VARIABLES, str(threads))}
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "analysis.worker.compute"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
    )
    assert process.stdin is not None and process.stdout is not None
    try:
        with contextlib.suppress(BrokenPipeError):  # the process is gone: said below
            _send(process.stdin, order)
        while (answer := _receive(process.stdout)) is not None:
            if "refused" in answer:
                raise RunRefused(answer["refused"])
            if "done" in answer:
                return
            estimate = Estimate(**answer.pop("estimate"))
            timed = Timed(estimate, Standing(**answer.pop("standing")), answer.pop("elapsed_s"))
            yield Computed(timed=timed, **answer)
        raise ComputeError(f"the reconstruction's process ended with code {process.wait()}; its message is on the standard error")
    finally:
        process.kill()
        process.stdin.close()
        process.stdout.close()
        process.wait()


def _send(stream: IO[bytes], message: dict[str, Any]) -> None:
    body = encode(message)
    stream.write(struct.pack("<q", len(body)) + body)
    stream.flush()


def _receive(stream: IO[bytes]) -> dict[str, Any] | None:
    header = stream.read(8)
    if len(header) < 8:
        return None
    body = stream.read(struct.unpack("<q", header)[0])
    return decode(body)


def _estimates(order: dict[str, Any]) -> Iterator[dict[str, Any]]:
    spec = RunSpec.of(order["start"])
    masks = MaskStore(order["state_dir"]).load(spec.mask_set)
    recipe = Recipe.parse(order["recipe"])
    batch = Batch(*order["columns"])

    def answer(segment: int, timed: Timed, *, final: bool) -> dict[str, Any]:
        return {
            "segment": segment,
            "final": final,
            "estimate": vars(timed.estimate),
            "standing": asdict(timed.standing),
            "elapsed_s": timed.elapsed_s,
            "options": reconstruction.options,
            "options_used": reconstruction.options_used,
        }

    segments = order["segments"] or [[]]
    for number, points in enumerate(segments):
        reconstruction = Reconstruction(masks, spec, recipe)
        for point in points:
            reconstruction.feed(batch.part(reconstruction.standing.realizations, min(point, len(batch))))
            yield answer(number, reconstruction.result(), final=False)
    reconstruction.feed(batch.part(reconstruction.standing.realizations, len(batch)))
    yield answer(len(segments) - 1, reconstruction.finish(), final=True)


def _main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the caller's Ctrl-C makes the caller end this process
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints must not get between the answers
    order = _receive(sys.stdin.buffer)
    if order is None:
        return
    threading.Thread(target=_end_with_caller, daemon=True).start()
    try:
        for answer in _estimates(order):
            _send(out, answer)
        _send(out, {"done": True})
    except RunRefused as error:
        _send(out, {"refused": str(error)})


def _end_with_caller() -> None:
    os.read(0, 1)  # nothing more is sent: it returns when the caller closes its end or dies
    os._exit(1)


if __name__ == "__main__":
    _main()
