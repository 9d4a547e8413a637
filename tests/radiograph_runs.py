"""Made-up radiographs: a detector's file with dark, flat and static frames before the series, and the documents of it."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin
import numpy as np

from sims.radiographs import FlatPanel, moving_bed

Documents = list[tuple[str, dict[str, Any]]]
IMAGE, NUMBER = "camera_image", "camera_number"
DATASETS = {IMAGE: "/entry/data/data", NUMBER: "/entry/instrument/NDAttributes/NDArrayUniqueId"}
ANGLE_NUMBER, ANGLE = "rotation_number", "rotation_angle"
DARK, LIGHT = 100.0, 4000.0
SIZE = 24


def disc_sinogram(angles_deg: np.ndarray, bins: int = SIZE, centre: float | None = None) -> np.ndarray:
    """Line integrals (views, bins) of a disc of radius 5 and attenuation 0.05 a pixel, 4 pixels beside the axis."""
    middle = (bins - 1) / 2 if centre is None else centre
    place = np.arange(bins) - middle - 4 * np.cos(np.deg2rad(angles_deg))[:, None]
    return 0.1 * np.sqrt(np.maximum(25 - place**2, 0))


class RadiographRun:
    """Streams of frames, one after the other in one file of the detector, and perhaps angles.

    Parameters
    ----------
    path : Path
        The detector's file.
    streams : mapping of str to ndarray, (N, H, W)
        Frames of each stream, in the order in which they were taken.
    angles : sequence of float, optional
        One for each of "frames", in the unit `units`.
    lost : sequence of int
        Numbers of the series whose radiograph was lost.
    entry : mapping
        Further keys of the entry in the start document.
    """

    def __init__(
        self,
        path: Path,
        streams: Mapping[str, np.ndarray],
        *,
        angles: Any = None,
        units: str = "deg",
        lost: tuple[int, ...] = (),
        portions: int = 1,
        **entry: Any,
    ) -> None:
        self.uid, self.angles, self.units, self.lost, self.portions = str(uuid.uuid4()), angles, units, lost, portions
        self.path, self.streams, self.entry = path, streams, entry
        self.numbers = {
            name: [n for n in range(1, len(frames) + 1) if name != "frames" or n not in lost] for name, frames in streams.items()
        }
        self._write()

    def _write(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        frames = np.concatenate([self.streams[name][np.array(self.numbers[name], int) - 1] for name in self.streams])
        with h5py.File(self.path, "w", libver="latest") as file:
            shape = frames.shape[1:]
            compression = hdf5plugin.Bitshuffle(cname="lz4")
            file.create_dataset(DATASETS[IMAGE], data=frames, chunks=(1, *shape), maxshape=(None, *shape), **compression)
            numbers = np.concatenate([self.numbers[name] for name in self.streams]).astype("<i8")
            file.create_dataset(DATASETS[NUMBER], data=numbers, chunks=(64,), maxshape=(None,))
            file.swmr_mode = True
        self._dtype = frames.dtype.str

    def documents(self) -> Documents:
        """All documents of the run."""
        shape = list(self.streams["frames"].shape[1:])
        entry = {
            "frames": {"stream": "frames", "image": IMAGE, "number": NUMBER},
            "shape": shape,
            "angles": None,
            **{name: name for name in self.streams if name != "frames"},
            **self.entry,
        }
        if self.angles is not None:
            entry["angles"] = {"stream": "angles", "number": ANGLE_NUMBER, "angle": ANGLE}
        start = {
            "uid": self.uid,
            "time": 1000.0,
            "plan_name": "tomo_scan" if self.angles is not None else "radiograph_series",
            "technique": "radiographs",
            "detectors": ["camera"],
            "num_points": len(self.streams["frames"]),
            "radiographs": entry,
        }
        documents, first = [("start", start)], 0
        for name in self.streams:
            documents += [self._descriptor(name, shape), *(("stream_resource", self._resource(name, key)) for key in DATASETS)]
        if self.angles is not None:
            documents.append(self._angles_descriptor())
        for name, numbers in self.numbers.items():
            last = first + len(numbers)
            cuts = np.linspace(first, last, (self.portions if name == "frames" else 1) + 1).astype(int)
            seq = 1
            for portion, (low, high) in enumerate(itertools.pairwise(cuts)):
                documents += [("stream_datum", self._datum(name, key, portion, int(low), int(high), seq)) for key in DATASETS]
                if name == "frames" and self.angles is not None:
                    documents.append(self._angles_page(int(cuts[portion] - first), int(cuts[portion + 1] - first), portion))
                seq += int(high - low)
            first = last
        stop = {"uid": f"stop-{self.uid}", "time": 1100.0, "run_start": self.uid, "exit_status": "success", "reason": ""}
        num_events = {name: len(numbers) for name, numbers in self.numbers.items()}
        if self.angles is not None:
            num_events["angles"] = len(self.angles)
        return [*documents, ("stop", {**stop, "num_events": num_events})]

    def _descriptor(self, stream: str, shape: list[int]) -> tuple[str, dict[str, Any]]:
        keys = {
            IMAGE: {"dtype": "array", "shape": [1, *shape], "dtype_numpy": self._dtype, "external": "STREAM:"},
            NUMBER: {"dtype": "array", "shape": [1], "dtype_numpy": "<i8", "external": "STREAM:"},
        }
        return self._told(stream, "camera", keys)

    def _angles_descriptor(self) -> tuple[str, dict[str, Any]]:
        keys = {
            ANGLE_NUMBER: {"dtype": "integer", "shape": [], "dtype_numpy": "<i8"},
            ANGLE: {"dtype": "number", "shape": [], "dtype_numpy": "<f8", "units": self.units},
        }
        return self._told("angles", "rotation", keys)

    def _told(self, stream: str, device: str, keys: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        return "descriptor", {
            "uid": f"{stream}-{self.uid}",
            "run_start": self.uid,
            "time": 1000.5,
            "name": stream,
            "data_keys": {key: {"source": "made", "object_name": device, **entry} for key, entry in keys.items()},
            "object_keys": {device: list(keys)},
            "configuration": {},
            "hints": {},
        }

    def _resource(self, stream: str, key: str) -> dict[str, Any]:
        return {
            "uid": f"{stream}-{key}-{self.uid}",
            "run_start": self.uid,
            "data_key": key,
            "mimetype": "application/x-hdf5",
            "uri": f"file://localhost{self.path}",
            "parameters": {"dataset": DATASETS[key], "chunk_shape": [1]},
        }

    def _datum(self, stream: str, key: str, portion: int, first: int, last: int, seq: int) -> dict[str, Any]:
        return {
            "uid": f"{stream}-{key}-{self.uid}/{portion}",
            "stream_resource": f"{stream}-{key}-{self.uid}",
            "descriptor": f"{stream}-{self.uid}",
            "indices": {"start": first, "stop": last},
            "seq_nums": {"start": seq, "stop": seq + last - first},
        }

    def _angles_page(self, first: int, last: int, portion: int) -> tuple[str, dict[str, Any]]:
        """Angles of the portion's numbers, and of the lost ones among them."""
        numbers = self.numbers["frames"]
        low = 1 if first == 0 else numbers[first]
        high = len(self.angles) if last == len(numbers) else numbers[last] - 1
        chosen = list(range(low, high + 1))
        times = [1001.0 + number for number in chosen]
        columns = {ANGLE_NUMBER: chosen, ANGLE: [float(self.angles[number - 1]) for number in chosen]}
        return "event_page", {
            "uid": [f"angle-{number}-{self.uid}" for number in chosen],
            "descriptor": f"angles-{self.uid}",
            "seq_num": chosen,
            "time": times,
            "data": columns,
            "timestamps": dict.fromkeys(columns, times),
            "filled": {},
        }


def tomography_streams(angles_deg: np.ndarray, *, height: int = 2, width: int = SIZE, seed: int = 0) -> dict[str, np.ndarray]:
    """Dark, flat and sample frames of a disc that turns."""
    rng = np.random.default_rng(seed)
    transmission = np.repeat(np.exp(-disc_sinogram(angles_deg, width))[:, None, :], height, axis=1)

    def counted(light: np.ndarray) -> np.ndarray:
        return (DARK + rng.poisson(LIGHT * light)).astype("<u2")

    shape = (height, width)
    return {
        "darks": counted(np.zeros((3, *shape))),
        "flats": counted(np.ones((5, *shape))),
        "frames": counted(transmission),
    }


def static_streams(
    num: int, *, shape: tuple[int, int] = (96, 96), decay_px: float = 0.645, seed: int = 0
) -> dict[str, np.ndarray]:
    """Dark, flat, static and further frames of spheres that stand still, behind a scintillator."""
    scene, panel = moving_bed(shape, 1, 20, seed=1), FlatPanel(decay_px, read_noise=3.0)

    def counted(body: np.ndarray, number: int, shift: int) -> np.ndarray:
        return np.rint(DARK + panel.frames(np.repeat(body, number, axis=0), LIGHT, seed + shift)).astype("<u2")

    flats, static, frames = counted(np.ones_like(scene), 20, 1), counted(scene, 40, 2), counted(scene, num, 3)
    return {"darks": np.full((2, *shape), DARK, "<u2"), "flats": flats, "static": static, "frames": frames}
