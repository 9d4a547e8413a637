"""The cost of an iteration of SIRT besides its products, and the lag of a live slice behind its projections.

An iteration with 256x256 pixels and 32 views is compared with one product each with the sparse projector and its transpose,
in turns, on one thread. Live: 180 projections of 256 pixels arrive at 10 per second, preceded by dark and flat fields, as
documents from a file; SIRT extends the slice as in the worker, on one thread. The lag of a projection is the time until the
first estimate that contains it has been made.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from analysis.documents.recipe import Recipe
from analysis.documents.references import ReferenceStore
from analysis.imaging.projector import ParallelBeam
from analysis.offline.array_file import open_arrays
from analysis.offline.ingest_radiographs import radiograph_documents
from analysis.offline.radiograph_file import find_series
from analysis.techniques import technique_of
from analysis.tomography.sirt import Sirt
from analysis.worker.drive import Drive
from analysis.worker.pace import Clock
from benchmarks._common import Claim, arguments_parser, percentile, report
from sims.radiographs import foam

CLAIMS = (
    Claim("overhead", "time of a SIRT iteration over that of its two products, 256x256, 32 views", at_most=1.5),
    Claim("lag_s", "from a projection to the first live slice that holds it, s (p95)"),
)
RATE = 10.0  # projections/s
_ROWS = 4  # of the detector
Document = tuple[str, dict[str, Any]]


def main() -> None:
    """Measure and report."""
    arguments: argparse.Namespace = arguments_parser(__doc__).parse_args()
    size, repeats, views = (64, 5, 20) if arguments.quick else (256, 50, 180)
    torch.set_num_threads(1)
    overhead, details = overhead_of(size, repeats)
    lags, told = lags_of(size, views, arguments.seed, pause_s=0.01 if arguments.quick else 1 / RATE)
    report(CLAIMS, {"overhead": overhead, "lag_s": percentile(lags, 0.95)}, [*details, *told], arguments.json)


def overhead_of(size: int, repeats: int) -> tuple[float, list[str]]:
    """Time of an iteration over that of its products: medians, measured in turns."""
    angles = np.arange(32) * 180.0 / 32
    sinogram = foam(size, 40, 0).line_integrals(angles, size)[None].astype(np.float32)
    projector = ParallelBeam(size, angles, size, (size - 1) / 2)
    sirt = Sirt(projector, sinogram, np.ones(sinogram.shape, dtype=bool), lower=0.0)
    image, rays = (torch.rand(side, 1) for side in (projector.shape[1], projector.shape[0]))
    products, iterations = [], []
    for _ in range(repeats):
        began = time.perf_counter()
        projector.forward(image)
        projector.adjoint(rays)
        middle = time.perf_counter()
        sirt.iterate(1)
        products.append(middle - began)
        iterations.append(time.perf_counter() - middle)
    product, iteration = float(np.median(products)), float(np.median(iterations))
    return iteration / product, [f"both products {1000 * product:.2f} ms, an iteration {1000 * iteration:.2f} ms"]


def lags_of(size: int, views: int, seed: int, pause_s: float) -> tuple[list[float], list[str]]:
    """Seconds from each projection to the first slice that contains it."""
    angles = np.arange(views) * 180.0 / views
    rng = np.random.default_rng(seed)
    light = np.exp(-foam(size, 40, seed).line_integrals(angles, size))[:, None, :].repeat(_ROWS, axis=1)
    counts = {
        "projections": rng.poisson(1000 * light).astype("<u2"),
        "darks": np.zeros((3, _ROWS, size), "<u2"),
        "flats": rng.poisson(1000, (10, _ROWS, size)).astype("<u2"),
    }
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        np.savez(path / "scan.npz", theta_deg=angles, **counts)
        with open_arrays(path / "scan.npz") as file:
            series = find_series(file)
            assert series is not None
            documents = list(radiograph_documents(file, series, path, fraction=1.0, described={}))
        start = documents[0][1]
        came: list[float] = []
        drive = Drive(
            technique_of(start).open(start, ReferenceStore(path)),
            Recipe("sirt"),
            lambda: one_by_one(documents[1:], came, pause_s),
            Clock(views, slow=True),
        )
        lags: list[float] = []
        made, shown, spent = 0, 0, []
        for timed in drive.estimates():
            if timed.final:
                continue
            now = time.perf_counter()
            lags += [now - moment for moment in came[shown : timed.standing.used]]
            made, shown = made + 1, timed.standing.used
            spent.append(timed.elapsed_s)
    middle, slowest = (float(np.median(spent)), max(spent)) if spent else (np.nan, np.nan)
    return lags, [f"{made} live slices, one takes {middle:.2f} s, the slowest {slowest:.2f} s"]


def one_by_one(documents: list[Document], came: list[float], pause_s: float) -> Iterator[Document | None]:
    """Documents as in a scan: one projection and its angle at a time."""
    streams = {doc["uid"]: doc["name"] for name, doc in documents if name == "descriptor"}
    datums = [doc for name, doc in documents if name == "stream_datum" and streams[doc["descriptor"]] == "frames"]
    pages = [doc for name, doc in documents if name == "event_page"]
    late = [*datums, *pages]
    for name, doc in documents:
        if name != "stop" and not any(doc is one for one in late):
            yield name, doc
    angles = [(page, index) for page in pages for index in range(len(page["seq_num"]))]
    began = time.perf_counter()
    for number, (page, index) in enumerate(angles):
        while (left := began + number * pause_s - time.perf_counter()) > 0:
            time.sleep(min(left, 0.02))
            yield None
        came.append(time.perf_counter())
        for datum in datums:
            first, seq = datum["indices"]["start"] + number, datum["seq_nums"]["start"] + number
            yield (
                "stream_datum",
                {
                    **datum,
                    "uid": f"{datum['stream_resource']}/{number}",
                    "indices": {"start": first, "stop": first + 1},
                    "seq_nums": {"start": seq, "stop": seq + 1},
                },
            )
        yield "event_page", part_of(page, index)
    yield documents[-1]


def part_of(page: dict[str, Any], index: int) -> dict[str, Any]:
    """One event of a page, as a page."""
    columns = {key: [values[index]] for key, values in page["data"].items()}
    stamps = {key: [values[index]] for key, values in page["timestamps"].items()}
    one = {key: [page[key][index]] for key in ("uid", "seq_num", "time")}
    return {**page, **one, "data": columns, "timestamps": stamps}


if __name__ == "__main__":
    main()
