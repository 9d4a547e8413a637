"""A run and its reconstructions as one HDF5 file in NeXus layout, for other programs, and for `ghostbeam ingest`.

`entry` is the run. Of ghost imaging its `data` holds the masks and the corrected buckets of the realizations that are used, under
the names that `analysis.offline.ingest_file` reads; `streams` holds every stream as it was measured. Each reconstruction has an
entry of its own with its newest images, their standard errors, and figures. Plain compression, so that every reader can read it.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from analysis.documents.frame_folders import frame_folders
from analysis.documents.frames import FrameFile, FramesUnreadable
from analysis.documents.log import LogReader, log_paths
from analysis.documents.quantity_keys import array_keys
from analysis.documents.references import ReferenceDiffers, ReferenceMissing
from analysis.documents.refusal import RunRefused
from analysis.documents.streams import PRIMARY
from analysis.offline.acquisition import Acquisition, from_log

_PACKED = {"compression": "gzip", "compression_opts": 4, "shuffle": True}
_FRAMES, _VALUES = 64, 2**22  # written at a time


def export_run(state_dir: Path | str, uid: str, path: Path | str, *, only: str | None = None) -> None:
    """Write a run and its reconstructions.

    Parameters
    ----------
    state_dir : Path
        State directory with the document log.
    uid : str
        Whole uid of the run.
    path : Path
        The HDF5 file to write.
    only : str, optional
        Uid of the one reconstruction to write; by default all that have an estimate.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    paths = log_paths(state_dir)
    with h5py.File(path, "w") as file, closing(LogReader(paths.raw)) as raw, closing(LogReader(paths.processed)) as processed:
        file.attrs.update({"NX_class": "NXroot", "default": "entry", "creator": "ghostbeam"})
        entry = _group(file, "entry", "NXentry")
        start = _write_run(entry, raw, uid, frame_folders(state_dir))
        _write_acquisition(entry, Path(state_dir), uid)
        _write_scan(entry, start)
        _write_series(entry, start)
        for derived in processed.runs():
            if derived.start.get("derived_from") == uid and only in (None, derived.uid):
                name = f"{derived.start.get('method', 'reconstruction')}_{derived.uid[:8]}"
                if _write_reconstruction(file, name, processed, derived.uid):
                    file.attrs["default"] = name


def newest_estimate(reader: LogReader, uid: str) -> tuple[dict[str, dict[str, Any]], dict[str, Any]]:
    """The start, descriptor and stop documents of a derived run by name, and the data of its newest estimate.

    Raises
    ------
    LookupError
        If there is no estimate.
    """
    documents: dict[str, dict[str, Any]] = {}
    newest = 0
    for record in reader.documents(uid, arrays=False):
        if record.damage is None and record.doc.get("name", PRIMARY) == PRIMARY:  # not the descriptor of single rows
            documents[record.name] = record.doc
            newest = record.position if record.name == "event" else newest
    if not newest:
        raise LookupError(f"there is no estimate of {uid}")
    (record,) = reader.read(newest - 1, run=uid, limit=1)
    return documents, record.doc["data"]


def _write_run(entry: h5py.Group, reader: LogReader, uid: str, folders: Sequence[Path]) -> dict[str, Any]:
    """Write what the log holds of a run; returns its start document."""
    streams: dict[str, dict[str, Any]] = {}  # by the descriptor's uid
    resources: dict[str, dict[str, Any]] = {}
    kept: dict[str, dict[str, Any]] = {}
    for record in reader.documents(uid):
        if record.damage is not None:
            continue
        doc = record.doc
        if record.name in ("start", "stop"):
            kept[record.name] = doc
        elif record.name == "descriptor":
            streams[doc["uid"]] = {"name": doc["name"], "data_keys": doc["data_keys"], "columns": {}, "datums": []}
        elif record.name in ("event", "event_page") and doc["descriptor"] in streams:
            _take(streams[doc["descriptor"]]["columns"], doc, single=record.name == "event")
        elif record.name == "stream_resource":
            resources[doc["uid"]] = doc
        elif record.name == "stream_datum" and doc["descriptor"] in streams:
            streams[doc["descriptor"]]["datums"].append(doc)
    start, stop = kept.get("start", {}), kept.get("stop")
    _describe(entry, start, stop)
    if (sample := start.get("sample")) is not None:
        _group(entry, "sample", "NXsample")["name"] = str(sample)
    group = _group(entry, "streams", "NXcollection")
    for stream in streams.values():
        _write_stream(_group(group, _free(group, stream["name"]), "NXcollection"), stream, resources, folders)
    return start


def _take(columns: dict[str, list[Any]], doc: Mapping[str, Any], *, single: bool) -> None:
    values = {"seq_num": doc["seq_num"], "time": doc["time"], **doc["data"]}
    for key, value in values.items():
        columns.setdefault(key, []).extend([value] if single else value)


def _write_stream(group: h5py.Group, stream: Mapping[str, Any], resources: Mapping[str, Any], folders: Sequence[Path]) -> None:
    for key, values in stream["columns"].items():
        said = {"units": "s"} if key == "time" else stream["data_keys"].get(key, {})
        _write_column(group, key, values, said)
    external: dict[str, list[dict[str, Any]]] = {}
    for datum in stream["datums"]:
        external.setdefault(datum["stream_resource"], []).append(datum)
    for uid, datums in external.items():
        key = resources[uid]["data_key"]
        _write_frames(group, key, resources[uid], stream["data_keys"].get(key, {}), datums, folders)


def _write_column(group: h5py.Group, key: str, values: list[Any], said: Mapping[str, Any]) -> None:
    try:
        array = np.asarray(values)
    except ValueError:  # rows of different lengths
        array = np.empty(0, dtype=object)
    if array.dtype.kind not in "biuf":
        array = np.array(
            [value if isinstance(value, str) else json.dumps(value, default=_plain) for value in values], dtype=object
        )
        _say(group.create_dataset(_free(group, key), data=array, dtype=h5py.string_dtype()), said)
        return
    _say(group.create_dataset(_free(group, key), data=array, **(_PACKED if array.size > 64 else {})), said)


def _write_frames(
    group: h5py.Group,
    key: str,
    resource: Mapping[str, Any],
    said: Mapping[str, Any],
    datums: list[dict[str, Any]],
    folders: Sequence[Path],
) -> None:
    """Copy what lies in a detector's file, some frames at a time."""
    last = max(datum["indices"]["stop"] for datum in datums)
    try:
        with FrameFile.of(resource, said, folders) as frames:
            chunks = (1, *frames.shape) if frames.shape else None
            dataset = group.create_dataset(_free(group, key), (last, *frames.shape), frames.dtype, chunks=chunks, **_PACKED)
            for first in range(0, last, _FRAMES):
                stop = min(first + _FRAMES, last)
                dataset[first:stop] = frames.read(first, stop)
            _say(dataset, said)
    except FramesUnreadable as error:
        group.attrs[f"{key}_unreadable"] = str(error)


def _write_acquisition(entry: h5py.Group, state_dir: Path, uid: str) -> None:
    """Masks and corrected buckets of ghost imaging, as `ghostbeam ingest` reads them."""
    try:
        measured = from_log(state_dir, uid)
    except (RunRefused, ReferenceMissing, ReferenceDiffers):
        return  # another technique, or nothing that can be used
    if measured.buckets.ndim != 1:
        return  # several chemical elements have a bucket each
    entry.attrs["default"] = "data"
    data = _group(entry, "data", "NXdata")
    data.attrs["signal"] = "buckets"
    data["buckets"] = measured.buckets
    data["buckets"].attrs["long_name"] = "corrected signal of each realization"
    if measured.errors is not None:
        data["errors"] = measured.errors
    _write_masks(data, measured)
    if measured.reference is not None:
        entry.create_dataset("reference", data=measured.reference, **_PACKED)
    if measured.pixel_size_um is not None:
        entry["pixel_size_um"] = measured.pixel_size_um
        entry["pixel_size_um"].attrs["units"] = "um"
    if measured.remarks or measured.doubts:
        entry["notes"] = "\n".join([*measured.remarks, *measured.doubts])


def _write_scan(entry: h5py.Group, start: Mapping[str, Any]) -> None:
    """Frames and the position of each, and what is known of the experiment, where NeXus and `ghostbeam ingest` look for them."""
    said = start.get("ptychography")
    if not isinstance(said, dict):
        return
    frames, positions = said["frames"], said["positions"]
    try:
        image, number = (entry[f"streams/{frames['stream']}/{frames[key]}"] for key in ("image", "number"))
        columns = [entry[f"streams/{positions['stream']}/{positions[key]}"][()] for key in ("number", "y", "x")]
    except KeyError:
        return  # frames that could not be read, or none
    place_of = {int(one): row for row, one in enumerate(columns[0])}
    rows = [place_of.get(int(one)) for one in number[()].ravel()]
    places = np.array([[np.nan, np.nan] if row is None else [columns[1][row], columns[2][row]] for row in rows])
    entry.file["positions_um"] = places.reshape(-1, 2)  # y, x
    entry.attrs["default"] = "data"
    data = _group(entry, "data", "NXdata")
    data.attrs["signal"] = "data"
    data["data"] = h5py.SoftLink(image.name)
    known = {
        "incident_energy": ("NXbeam", "beam", "keV", said.get("energy_kev")),
        "distance": ("NXdetector", "detector", "mm", said.get("distance_mm")),
        "x_pixel_size": ("NXdetector", "detector", "um", said.get("detector_pixel_um")),
        "saturation_value": ("NXdetector", "detector", "counts", said.get("saturation_counts")),
    }
    instrument = _group(entry, "instrument", "NXinstrument")
    for name, (kind, group, units, value) in known.items():
        if value is not None:
            home = instrument[group] if group in instrument else _group(instrument, group, kind)
            home[name] = value
            home[name].attrs["units"] = units


def _write_series(entry: h5py.Group, start: Mapping[str, Any]) -> None:
    """Frames, dark and flat fields and angles of a series, by the names that `ghostbeam ingest` knows; links, not copies."""
    for technique, called in (("pairs", "frames"), ("radiographs", "projections")):
        said = start.get(technique)
        if not isinstance(said, dict):
            continue
        frames = said["frames"]
        for purpose in ("frames", "darks", "flats", "static"):
            stream = frames["stream"] if purpose == "frames" else said.get(purpose)
            images = entry.get(f"streams/{stream}/{frames['image']}")
            if images is not None:
                entry.file[called if purpose == "frames" else purpose] = images
        if called in entry.file and (angles := said.get("angles")):
            _write_angles(entry, frames, angles)


def _write_angles(entry: h5py.Group, frames: Mapping[str, Any], angles: Mapping[str, Any]) -> None:
    """The angle of each radiograph; NaN where there is none."""
    try:
        numbers = entry[f"streams/{frames['stream']}/{frames['number']}"][()].ravel()
        columns = [entry[f"streams/{angles['stream']}/{angles[key]}"][()] for key in ("number", "angle")]
    except KeyError:
        return
    angle_of = dict(zip(columns[0].tolist(), columns[1].tolist(), strict=True))
    entry.file["theta_deg"] = np.array([angle_of.get(number, np.nan) for number in numbers.tolist()])
    entry.file["theta_deg"].attrs["units"] = "deg"


def _write_masks(data: h5py.Group, measured: Acquisition) -> None:
    masks = measured.masks
    step = max(1, _VALUES // (masks.shape[1] * masks.shape[2]))
    first = np.asarray(masks[:1])
    kind = np.uint8 if first.dtype == np.bool_ else first.dtype
    dataset = data.create_dataset("masks", masks.shape, kind, chunks=(1, *masks.shape[1:]), **_PACKED)
    for start in range(0, len(masks), step):
        dataset[start : start + step] = masks[start : start + step]
    dataset.attrs["long_name"] = "mask of each realization"


def _write_reconstruction(file: h5py.File, name: str, reader: LogReader, uid: str) -> bool:
    try:
        documents, estimate = newest_estimate(reader, uid)
    except LookupError:
        return False
    start, data_keys = documents["start"], documents["descriptor"]["data_keys"]
    entry = _group(file, name, "NXentry")
    entry.attrs["default"] = "data"
    _describe(entry, start, documents.get("stop"))
    pixel_um = (start.get("image") or {}).get("pixel_size_um")
    arrays = array_keys(data_keys)
    for key in arrays:
        group = _group(entry, "data" if key == arrays[0] else _free(entry, key), "NXdata")
        group.attrs["signal"] = key
        _say(group.create_dataset(key, data=estimate[key], **_PACKED), data_keys[key])
        _write_axes(group, np.shape(estimate[key]), data_keys[key].get("dims"), pixel_um)
    if "spread" in arrays and arrays[0] == "image":
        entry["data/image_errors"] = entry["spread/spread"]  # as NeXus calls the uncertainties of a signal
    figures = _group(entry, "figures", "NXcollection")
    for key, value in estimate.items():
        if key not in arrays:
            figures[key] = value
            _say(figures[key], data_keys[key])
    return True


def _write_axes(group: h5py.Group, shape: tuple[int, ...], dims: Any, pixel_um: Any) -> None:
    """The axes of an image, from its centre; in pixels where the size of a pixel is not known."""
    names = [str(name) for name in dims or ()]
    if len(names) != len(shape) or names[-2:] != ["y", "x"]:
        return
    group.attrs["axes"] = ["." for _ in names[:-2]] + ["y", "x"]
    sizes = list(pixel_um) if isinstance(pixel_um, Sequence) else [pixel_um] * 2
    for name, length, size in zip(("y", "x"), shape[-2:], sizes, strict=True):
        group[name] = (np.arange(length) - (length - 1) / 2) * (size or 1.0)
        group[name].attrs["units"] = "um" if size else "pixel"


def _describe(entry: h5py.Group, start: Mapping[str, Any], stop: Mapping[str, Any] | None) -> None:
    entry["title"] = " ".join(str(start[key]) for key in ("sample", "plan_name", "method") if start.get(key))
    entry["experiment_identifier"] = str(start.get("uid", ""))
    entry["program_name"] = "ghostbeam"
    for name, doc in (("start_time", start), ("end_time", stop or {})):
        if isinstance(doc.get("time"), int | float):
            entry[name] = datetime.datetime.fromtimestamp(doc["time"], datetime.UTC).isoformat()
    group = _group(entry, "documents", "NXcollection")
    group["start"] = json.dumps(start, default=_plain)
    if stop is not None:
        group["stop"] = json.dumps(stop, default=_plain)


def _group(parent: h5py.Group, name: str, kind: str) -> h5py.Group:
    group = parent.create_group(name, track_order=True)
    group.attrs["NX_class"] = kind
    return group


def _free(group: h5py.Group, name: str) -> str:
    """A name that can be a link in HDF5, and is none yet."""
    plain = name.replace("/", "_").replace("\0", "_") or "_"
    plain = plain if plain not in (".", "..") else f"_{plain}"
    return next(one for one in _numbered(plain) if one not in group)


def _numbered(name: str) -> Iterator[str]:
    yield name
    for number in range(2, 10_000):
        yield f"{name}_{number}"


def _say(dataset: h5py.Dataset, said: Mapping[str, Any]) -> None:
    """Unit and meaning of a data set, as its data key has them."""
    if said.get("units"):
        dataset.attrs["units"] = str(said["units"])
    if said.get("meaning"):
        dataset.attrs["long_name"] = str(said["meaning"])


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else str(value)
