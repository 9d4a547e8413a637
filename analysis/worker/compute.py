"""A reconstruction in a separate process, for callers that must not load torch and can no longer set the number of threads.

`computed` starts `python -m analysis.worker.compute` and communicates with it through its standard input and output.
"""

from __future__ import annotations

import contextlib
import os
import signal
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from analysis.documents.batch import Batch
from analysis.documents.derived import Standing
from analysis.documents.encoding import decode, encode
from analysis.documents.ledger import Ledger
from analysis.documents.recipe import Recipe
from analysis.documents.references import ReferenceStore
from analysis.documents.refusal import RunRefused
from analysis.estimate import Estimate, Quantity
from analysis.techniques import RowSink, technique_of
from analysis.worker.drive import Drive, Timed
from analysis.worker.pace import Points

THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
"""Variables with the number of threads of the numerical libraries; they are read when the libraries are loaded."""

_DOCUMENTS_AT_ONCE = 200


class ComputeError(RuntimeError):
    """The process that reconstructed ended in an error."""


@dataclass(frozen=True)
class Computed:
    """One estimate of a reconstruction in another process.

    Attributes
    ----------
    timed : Timed
        The estimate, the rows on which it is based, and its cost.
    options : dict
        The options with all defaults.
    options_used : dict
        The options with the values chosen from the data.
    ledger : Ledger
        What happened to every row; complete with the final estimate.
    """

    timed: Timed
    options: dict[str, Any]
    options_used: dict[str, Any]
    ledger: Ledger


def computed(
    state_dir: Path,
    start: dict[str, Any],
    recipe: Recipe,
    documents: Iterable[tuple[str, Mapping[str, Any]]],
    *,
    segments: Sequence[Sequence[int]] = (),
    threads: int = 1,
    rows: Callable[[Mapping[str, Any], Mapping[str, Quantity]], RowSink] | None = None,
) -> Generator[Computed, None, None]:
    """Reconstruct in another process.

    Parameters
    ----------
    state_dir : Path
        State directory with the run's references.
    start : dict
        Start document of the run.
    recipe : Recipe
        How to reconstruct.
    documents : iterable of (name, document)
        The documents of the run; read once, and not kept.
    segments : sequence of sequence of int
        Update points: the numbers of rows after which an estimate is made. Each segment begins from scratch.
    threads : int
        Threads of the numerical libraries.
    rows : callable, optional
        For reconstructions with results for single rows: called with the options with all defaults and the quantities;
        returns the destination of the results.

    Yields
    ------
    Computed
        The estimate at each update point, then the final one.

    Raises
    ------
    RunRefused
        If the recipe is invalid, or does not suit the data.
    ComputeError
        If the process ended in an error.
    """
    order = {
        "state_dir": str(state_dir),
        "start": start,
        "recipe": recipe.to_doc(),
        "segments": [list(points) for points in segments],
        "rows": rows is not None,
    }
    environment = {**os.environ, **dict.fromkeys(THREAD_VARIABLES, str(threads))}
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "analysis.worker.compute"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
    )
    assert process.stdin is not None and process.stdout is not None
    try:
        with contextlib.suppress(BrokenPipeError):  # the process is gone: reported below
            _send(process.stdin, order)
            for some in _portions(documents):
                _send(process.stdin, {"documents": some})
            _send(process.stdin, {"documents": []})
        while (answer := _receive(process.stdout)) is not None:
            if "refused" in answer:
                raise RunRefused(answer["refused"])
            if "done" in answer:
                return
            if "series" in answer:
                assert rows is not None
                sink = rows(answer["options"], {name: _quantity(doc) for name, doc in answer["series"].items()})
                continue
            if "rows" in answer:
                sink.add(Batch(answer["number"], answer["rows"], answer["number"]))
                continue
            yield _computed(answer)
        raise ComputeError(f"the reconstruction's process ended with code {process.wait()}; its message is on the standard error")
    finally:
        process.kill()
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
        process.stdout.close()
        process.wait()


def _portions(documents: Iterable[tuple[str, Mapping[str, Any]]]) -> Iterator[list[tuple[str, Mapping[str, Any]]]]:
    """Documents to be sent together: a limited number, or up to a page, which may be large."""
    portion = []
    for name, doc in documents:
        portion.append((name, doc))
        if name == "event_page" or len(portion) == _DOCUMENTS_AT_ONCE:
            yield portion
            portion = []
    if portion:
        yield portion


def _computed(answer: dict[str, Any]) -> Computed:
    estimate = Estimate(answer["arrays"], answer["figures"])
    timed = Timed(estimate, Standing(**answer["standing"]), answer["final"], answer["segment"], answer["elapsed_s"])
    return Computed(timed, answer["options"], answer["options_used"], Ledger.from_doc(answer["ledger"]))


def _quantity(doc: Mapping[str, Any]) -> Quantity:
    return Quantity(**{**doc, "shape": tuple(doc["shape"]), "dims": tuple(doc["dims"])})


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


class _SentRows:
    """Sends the results for single rows to the caller."""

    def __init__(self, out: IO[bytes]) -> None:
        self._out = out

    def begin(self) -> None:
        """Nothing has been sent: a recomputation begins only at the end of the documents."""

    def add(self, rows: Batch) -> None:
        """Send further rows."""
        _send(self._out, {"rows": dict(rows.columns), "number": rows.number})


def _answers(order: dict[str, Any], out: IO[bytes]) -> Iterator[dict[str, Any]]:
    start = order["start"]
    run = technique_of(start).open(start, ReferenceStore(order["state_dir"]))
    drive = Drive(run, Recipe.parse(order["recipe"]), _received_documents, Points(order["segments"]))
    if order["rows"] and drive.series:
        _send(out, {"options": drive.options, "series": {name: asdict(quantity) for name, quantity in drive.series.items()}})
        drive.rows = _SentRows(out)
    for timed in drive.estimates():
        yield {
            "segment": timed.segment,
            "final": timed.final,
            "arrays": dict(timed.estimate.arrays),
            "figures": dict(timed.estimate.figures),
            "standing": asdict(timed.standing),
            "elapsed_s": timed.elapsed_s,
            "options": drive.options,
            "options_used": dict(drive.options_used),
            "ledger": drive.ledger.to_doc(),
        }


def _received_documents() -> Iterator[tuple[str, dict[str, Any]]]:
    while (message := _receive(sys.stdin.buffer)) is not None and message["documents"]:
        yield from map(tuple, message["documents"])
    threading.Thread(target=_end_with_caller, daemon=True).start()


def _main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C in the caller makes the caller end this process
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # output printed by a library must not get between the answers
    order = _receive(sys.stdin.buffer)
    if order is None:
        return
    try:
        for answer in _answers(order, out):
            _send(out, answer)
        _send(out, {"done": True})
    except RunRefused as error:
        _send(out, {"refused": str(error)})


def _end_with_caller() -> None:
    os.read(0, 1)  # nothing more is sent: it returns when the caller closes its end or dies
    os._exit(1)


if __name__ == "__main__":
    _main()
