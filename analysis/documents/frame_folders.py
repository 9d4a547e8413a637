"""The folders in which files of frames may be: readers open no file elsewhere."""

from __future__ import annotations

import json
from pathlib import Path

_FILE = "frame_folders.json"


def frame_folders(state_dir: Path | str) -> list[Path]:
    """The folders in which a detector's files may be: `frames` in the state directory, and those given to `allow_frames`."""
    state_dir = Path(state_dir)
    try:
        named = json.loads((state_dir / _FILE).read_text())
    except (OSError, json.JSONDecodeError):
        named = []
    return [state_dir / "frames", *(Path(folder) for folder in named)]


def row_folder(state_dir: Path | str) -> Path:
    """The folder in which reconstructions store their results for single rows; readers of frames may read it too."""
    return frame_folders(state_dir)[0] / "derived"


def allow_frames(state_dir: Path | str, folder: Path | str) -> None:
    """Allow the readers of a state directory to read frames in another folder too."""
    state_dir, folder = Path(state_dir), Path(folder).absolute()
    if folder not in frame_folders(state_dir):
        named = [str(known) for known in (*frame_folders(state_dir)[1:], folder)]
        draft = state_dir / f"{_FILE}.part"
        draft.write_text(json.dumps(named))
        draft.replace(state_dir / _FILE)
