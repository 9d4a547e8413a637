"""The routes of the page, which Tiled's server mounts below `/custom` (`routers:` in its configuration)."""

from __future__ import annotations

import threading
from contextlib import closing
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, HTTPException, Request, Response, Security
from fastapi.responses import FileResponse
from starlette.background import BackgroundTask
from tiled.server.authentication import check_scopes, get_current_principal

from analysis.documents.log import LogReader, log_paths
from analysis.views.page.estimate_file import estimate_file
from analysis.views.page.run_file import run_file
from analysis.views.page.told import Told

router = APIRouter(prefix="/page")

_FILES = {path.name: path for path in (Path(__file__).parent / "static").iterdir()}
_FILES["plotly.js"] = Path(str(files("plotly"))) / "package_data" / "plotly.min.js"  # as its PyPI package contains it
_HEADERS = {
    # Scripts, styles and data come from this server alone, and nothing in a document is ever executed. The hash is that of an
    # empty style sheet: plotly makes one, and fills it with rules.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; "
        "style-src 'self' 'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='; img-src 'self' blob: data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}
_LOCK = threading.Lock()
_READING = [Security(check_scopes, scopes=["read:metadata", "read:data"]), Security(get_current_principal)]


@router.get("/", include_in_schema=False)
def page() -> FileResponse:
    """The page itself, which holds no data: those need a key."""
    return FileResponse(_FILES["index.html"], headers=_HEADERS)


@router.get("/state", dependencies=_READING)
def state(request: Request, run: Annotated[str | None, "uid of the run to show"] = None) -> Response:
    """What the page shows besides the images, as JSON."""
    told = _told(request.app.state)
    with _LOCK:
        content = told.state_json(run)
    return Response(content, media_type="application/json", headers=_HEADERS)


@router.get("/runs", dependencies=_READING)
def runs(request: Request, before: Annotated[str, "uid of the run before which to list"]) -> Response:
    """Runs older than those of the state, as JSON."""
    told = _told(request.app.state)
    with _LOCK:
        content = told.older(before)
    return Response(orjson.dumps(content, default=str), media_type="application/json", headers=_HEADERS)


@router.get("/newest", dependencies=_READING)
def newest(request: Request, run: Annotated[str, "uid of the derived run"]) -> Response:
    """The arrays of a reconstruction's newest estimate, as MessagePack: all at once, much faster than from Tiled."""
    told = _told(request.app.state)
    try:
        with _LOCK:
            content = told.newest(run)
    except LookupError as error:
        raise HTTPException(404, str(error)) from error
    return Response(content, media_type="application/x-msgpack", headers=_HEADERS)


@router.get("/estimate", dependencies=_READING)
def estimate(request: Request, run: Annotated[str, "uid of the derived run"]) -> Response:
    """The newest estimate of a reconstruction, as HDF5."""
    try:
        with closing(LogReader(log_paths(request.app.state.state_dir).processed)) as reader:
            content = estimate_file(reader, run)
    except LookupError as error:
        raise HTTPException(404, str(error)) from error
    return Response(content, media_type="application/x-hdf5", headers=_HEADERS)


@router.get("/export", dependencies=_READING)
def export(request: Request, run: Annotated[str, "uid of the measured run"]) -> FileResponse:
    """A run and its reconstructions as HDF5 in NeXus layout."""
    state_dir = request.app.state.state_dir
    with closing(LogReader(log_paths(state_dir).raw)) as reader:
        if run not in {info.uid for info in reader.runs()}:
            raise HTTPException(404, f"there is no run {run}")
    path = run_file(state_dir, run)
    return FileResponse(path, media_type="application/x-hdf5", headers=_HEADERS, background=BackgroundTask(path.unlink))


@router.get("/{name}", include_in_schema=False)
def file(name: str) -> FileResponse:
    """One of the page's own files."""
    if name not in _FILES:
        raise HTTPException(404, f"the page has no file {name}")
    return FileResponse(_FILES[name], headers=_HEADERS)


def _told(app: Any) -> Told:
    with _LOCK:
        if not hasattr(app, "told"):
            app.told = Told(app.state_dir)
        told: Told = app.told
        return told
