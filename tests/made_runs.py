"""Made-up ghost-imaging runs, as documents: small, seeded, with dark readings and a beam that drifts."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from analysis.techniques.ghost.mask_sets import MaskSet

Documents = list[tuple[str, dict[str, Any]]]
SHAPE = (8, 8)


def mask_set(num: int = 128, shape: tuple[int, int] = SHAPE, seed: int = 0) -> MaskSet:
    rng = np.random.default_rng(seed)
    patterns = rng.integers(0, 2, size=(num, *shape)).astype(np.float32)
    positions = np.stack([np.arange(num) * 0.1, np.zeros(num)], axis=1)
    return MaskSet("made", patterns, positions, 10.0)


def picture(shape: tuple[int, int] = SHAPE) -> np.ndarray:
    image = np.zeros(shape)
    image[shape[0] // 4 : shape[0] // 2 + 1, shape[1] // 4 : -2] = 1.0
    return image


@dataclass
class MadeRun:
    """A run with everything that a ghost scan has.

    `values` replaces readings: {seq_num: {key: value}}.
    """

    masks: MaskSet
    num: int = 96
    dark: int = 3
    seed: int = 0
    values: dict[int, dict[str, Any]] = field(default_factory=dict)
    md: dict[str, Any] = field(default_factory=dict)
    ghost: dict[str, Any] = field(default_factory=dict)
    identity: str | None = None
    uid: str = ""

    def __post_init__(self) -> None:
        rng = np.random.default_rng(self.seed)
        self.uid = self.uid or str(uuid.UUID(bytes=rng.bytes(16), version=4))
        shape = self.masks.patterns.shape[1:]
        pixels = shape[0] * shape[1]
        indices = np.arange(self.num) % len(self.masks.patterns)
        beam = 1e6 * (1 + 0.1 * np.sin(np.arange(self.num) / 10))
        exact = np.tensordot(self.masks.patterns[indices], picture(shape), 2)
        self.rows = [
            {
                "diode": float(round(beam[i] * exact[i] / pixels + 20 + rng.normal(0, 30))),
                "diode_monitor": float(round(beam[i] + 10)),
                "diode_time": 0.1,
                "mask_stage_index": int(indices[i]),
                "mask_stage_offset_y_um": 0.2,
                "mask_stage_offset_x_um": -0.1,
                **self.values.get(i + 1, {}),
            }
            for i in range(self.num)
        ]

    @property
    def start(self) -> dict[str, Any]:
        return {
            "uid": self.uid,
            "time": 1000.0,
            "scan_id": 7,
            "plan_name": "ghost_scan",
            "num_points": self.num,
            "technique": "ghost_imaging",
            "sample": "letters",
            "mask_set": self.identity or self.masks.identity,
            "ghost": {
                "buckets": ["diode"],
                "monitor": "diode_monitor",
                "time": "diode_time",
                "mask_index": "mask_stage_index",
                "offset": ["mask_stage_offset_y_um", "mask_stage_offset_x_um"],
                "shape": list(self.masks.patterns.shape[1:]),
                "pixel_size_um": 10.0,
                "exposure": 0.1,
                "dark_stream": "dark" if self.dark else None,
                "open_beam_ratio": 1.0,
                "offset_tolerance_um": 2.0,
                "saturation_counts": 1e8,
                "order": "given",
                "indices": list(range(self.num)),
                **self.ghost,
            },
            **self.md,
        }

    def documents(self) -> Documents:
        documents: Documents = [("start", self.start)]
        if self.dark:
            documents.append(("descriptor", self._descriptor("dark", ["diode", "diode_monitor", "diode_time"])))
            for number in range(1, self.dark + 1):
                data = {"diode": 20.0, "diode_monitor": 10.0, "diode_time": 0.1}
                documents.append(("event", self._event("dark", number, data, 1001.0 + number * 0.01)))
        documents.append(("descriptor", self._descriptor("primary", list(self.rows[0]) if self.rows else ["diode"])))
        for number, row in enumerate(self.rows, start=1):
            documents.append(("event", self._event("primary", number, row, 1010.0 + number * 0.1)))
        documents.append(("stop", self.stop))
        return documents

    @property
    def stop(self) -> dict[str, Any]:
        num_events = {"primary": self.num, **({"dark": self.dark} if self.dark else {})}
        return {
            "uid": f"stop-{self.uid}",
            "time": 2000.0,
            "run_start": self.uid,
            "exit_status": "success",
            "reason": "",
            "num_events": num_events,
        }

    def _descriptor(self, stream: str, keys: list[str]) -> dict[str, Any]:
        return {
            "uid": f"{stream}-{self.uid}",
            "run_start": self.uid,
            "time": 1000.5,
            "name": stream,
            "data_keys": {
                key: {
                    "source": "made",
                    "dtype": "integer" if key == "mask_stage_index" else "number",
                    "shape": [],
                    "dtype_numpy": "<i8" if key == "mask_stage_index" else "<f8",
                    **({"units": "counts"} if key in ("diode", "diode_monitor") else {}),
                }
                for key in keys
            },
            "object_keys": {},
            "configuration": {},
            "hints": {},
        }

    def _event(self, stream: str, number: int, data: dict[str, Any], time: float) -> dict[str, Any]:
        return {
            "uid": f"{stream}-{number}-{self.uid}",
            "descriptor": f"{stream}-{self.uid}",
            "seq_num": number,
            "time": time,
            "data": data,
            "timestamps": dict.fromkeys(data, time),
            "filled": {},
        }
