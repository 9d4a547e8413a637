"""Makes the wall clock of a process jump on request; Python imports this file by itself if its folder is on the path.

The number of seconds is in the file `offset` of the folder that the environment names, and may change at any time. It affects
`time.time()` and `time.time_ns()` in Python code, but not `datetime.now()` and file times.
"""

import mmap
import os
import struct
import time

FOLDER = os.environ.get("DRILLS_NAMESPACE")  # as in `benchmarks.drills.namespace`


def _let_it_jump(path: str) -> None:
    with open(path, "rb") as file:
        shared = mmap.mmap(file.fileno(), 8, access=mmap.ACCESS_READ)
    real_time, real_time_ns = time.time, time.time_ns

    def offset() -> float:
        return float(struct.unpack("d", shared)[0])

    time.time = lambda: real_time() + offset()
    time.time_ns = lambda: real_time_ns() + int(1e9 * offset())


if FOLDER is not None:
    _let_it_jump(os.path.join(FOLDER, "offset"))
