"""The newest estimate of a reconstruction as an HDF5 file, with everything known about how it was made."""

from __future__ import annotations

import io
import json
from typing import Any

import h5py
import numpy as np

from analysis.documents.log import LogReader
from analysis.documents.quantity_keys import array_keys
from analysis.offline.export import newest_estimate


def estimate_file(reader: LogReader, uid: str) -> bytes:
    """Return a file with a data set for each array and each number of the newest estimate.

    Parameters
    ----------
    reader : LogReader
        The log of derived runs.
    uid : str
        The derived run.

    Returns
    -------
    bytes
        The data sets have `meaning` and `units` as attributes; the file has the start document and, once there is one, the
        stop document, as JSON.

    Raises
    ------
    LookupError
        If there is no estimate.
    """
    documents, data = newest_estimate(reader, uid)
    data_keys = documents["descriptor"]["data_keys"]
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        for name in ("start", "stop"):
            if name in documents:
                file.attrs[name] = json.dumps(documents[name], default=_plain)
        for key, value in data.items():
            options = {"compression": "gzip"} if key in array_keys(data_keys) else {}
            dataset = file.create_dataset(key, data=value, **options)
            dataset.attrs.update({word: data_keys[key][word] for word in ("meaning", "units") if data_keys[key].get(word)})
    return buffer.getvalue()


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else str(value)
