"""Other runs at the same time: without a technique, of numbers and waveforms, in single events and in pages."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Self

import numpy as np
from event_model import pack_event_page

from analysis.documents.log import LogWriter
from benchmarks._documents import paced
from benchmarks.drills.chain import Chain

_RATE = 10.0  # documents/s
_PAGE = 20  # events
_WAVEFORM = 64


class Background:
    """Logs runs one after the other as long as the block lasts; the documents that the log accepts are noted in the chain.

    Parameters
    ----------
    chain : Chain
    """

    def __init__(self, chain: Chain) -> None:
        self._chain = chain
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._go_on)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None) -> None:
        self._end.set()
        self._thread.join()

    def _go_on(self) -> None:
        writer = LogWriter(self._chain.services.logs.raw)
        while not self._end.is_set():
            documents = counted_documents(str(uuid.uuid4()), pages=len(self._chain.others) % 2 == 1)
            self._chain.log_other(paced(documents, _RATE), writer)
        writer.close()


def counted_documents(uid: str, *, pages: bool, num: int = 60) -> Iterator[tuple[str, dict[str, Any]]]:
    """The documents of a run of a counter and a waveform.

    Parameters
    ----------
    uid : str
        Uid of the run.
    pages : bool
        Whether readings are sent as event pages.
    num : int
        Number of readings, a multiple of 20.
    """
    yield "start", {"uid": uid, "time": time.time(), "scan_id": 1, "plan_name": "count", "detectors": ["counter"]}
    descriptor = str(uuid.uuid4())
    number = {"source": "made", "dtype": "number", "dtype_numpy": "<f8", "shape": []}
    waveform = {"source": "made", "dtype": "array", "dtype_numpy": "<f8", "shape": [_WAVEFORM]}
    keys = {"counter": number, "counter_waveform": waveform}
    head = {"uid": descriptor, "run_start": uid, "time": time.time(), "name": "primary"}
    yield "descriptor", {**head, "data_keys": keys, "object_keys": {}, "configuration": {}, "hints": {}}
    page: list[Any] = []
    for number_of_event in range(1, num + 1):
        now = time.time()
        data = {"counter": float(number_of_event), "counter_waveform": np.full(_WAVEFORM, number_of_event / 7)}
        event = {"uid": str(uuid.uuid4()), "time": now, "descriptor": descriptor, "seq_num": number_of_event, "filled": {}}
        event |= {"data": data, "timestamps": dict.fromkeys(data, now)}
        if not pages:
            yield "event", event
            continue
        page.append(event)
        if len(page) == _PAGE:
            yield "event_page", dict(pack_event_page(*page))
            page = []
    end = {"uid": str(uuid.uuid4()), "time": time.time(), "run_start": uid, "exit_status": "success", "reason": ""}
    yield "stop", {**end, "num_events": {"primary": num}}
