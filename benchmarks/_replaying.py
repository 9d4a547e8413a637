"""One reading of a stored run in a process of its own: its documents alone, or a replay of them.

`python -m benchmarks._replaying KIND CONFIG RUN` prints a JSON object: how many documents, how many seconds, and by how many
megabytes the process grew at most. The configuration says where the catalogue is.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from analysis.archive.catalog import api_key, connect
from analysis.archive.stored_documents import stored_documents
from analysis.documents.recipe import Recipe
from analysis.offline.replay import replay
from beamline.config import load_config
from ghostbeam.services import tiled_uri

METHOD = "differential"


def main() -> None:
    """Read it."""
    kind, config_file, uid = sys.argv[1:]
    config = load_config(config_file)
    count = 0

    def counted(documents: Iterator[Any]) -> Iterator[Any]:
        nonlocal count
        for item in documents:
            count += 1
            yield item

    with connect(tiled_uri(config), api_key(config.state_dir)) as catalog:
        run = catalog.raw[uid]
        baseline = _memory_mb("VmRSS")
        began = time.perf_counter()
        if kind == "replay":
            replay(counted(stored_documents(run)), config.state_dir, Recipe(METHOD))
        else:
            for _ in counted(run.documents()):
                pass
        seconds = time.perf_counter() - began
    print(json.dumps({"documents": count, "seconds": seconds, "grown_mb": _memory_mb("VmHWM") - baseline}))


def _memory_mb(field: str) -> float:
    # Not getrusage: its maximum includes the process that this one was started from.
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"this system doesn't tell {field}")


if __name__ == "__main__":
    main()
