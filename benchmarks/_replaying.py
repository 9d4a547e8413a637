"""One reading of a stored run in a separate process.

`python -m benchmarks._replaying KIND CONFIG RUN` prints a JSON object: the number of events, the seconds, and the largest
growth of the process in megabytes. The configuration names the catalogue. Kinds: `documents` as made by Tiled
(`run.documents()`), `stored` as made by ghostbeam, a `replay` of those, and only the `arrays`, through Tiled's array client.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import httpx

from analysis.archive.catalog import connect
from analysis.archive.server_settings import api_key
from analysis.archive.stored_documents import stored_documents
from analysis.documents.recipe import Recipe
from analysis.offline.replay import replay
from beamline.config import load_config
from benchmarks._documents import SPECTRUM
from ghostbeam.services import tiled_uri

METHOD = "differential"
_PATIENCE = httpx.Timeout(10.0, read=900.0)  # the server collects a whole run before it sends the first document


def main() -> None:
    """Read it."""
    kind, config_file, uid = sys.argv[1:]
    config = load_config(config_file)
    events = 0

    def counted(documents: Iterable[Any]) -> Iterator[Any]:
        nonlocal events
        for name, doc in documents:
            events += len(doc["seq_num"]) if name == "event_page" else name == "event"
            yield name, doc

    with connect(tiled_uri(config), api_key(config.state_dir)) as catalog:
        run = catalog.raw[uid]
        catalog.root.context.http_client.timeout = _PATIENCE
        baseline = _memory_mb("VmRSS")
        began = time.perf_counter()
        if kind == "replay":
            replay(counted(stored_documents(run)), config.state_dir, Recipe(METHOD))
        elif kind == "arrays":
            spectra = run["primary"].base[SPECTRUM]
            for rows in spectra.chunks[0]:
                events += len(spectra[events : events + rows])
        else:
            for _ in counted(run.documents() if kind == "documents" else stored_documents(run)):
                pass
        seconds = time.perf_counter() - began
    print(json.dumps({"events": events, "seconds": seconds, "grown_mb": _memory_mb("VmHWM") - baseline}))


def _memory_mb(field: str) -> float:
    # Not getrusage: its maximum includes the parent process.
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"this system does not report {field}")


if __name__ == "__main__":
    main()
