"""`ghostbeam replay`."""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator, Mapping
from contextlib import closing
from typing import Any

from rich.console import Console
from rich.markup import escape

from analysis.archive.catalog import Catalog, connect
from analysis.archive.server_settings import CatalogError
from analysis.archive.stored_documents import stored_documents
from analysis.archive.stored_references import stored_reference
from analysis.documents.log import LogReader, RunState, log_paths
from analysis.documents.recipe import Recipe
from analysis.documents.references import FOLDERS, ReferenceName, ReferenceStore
from analysis.documents.refusal import RunRefused
from analysis.offline.replay import replay as replay_documents
from analysis.offline.replay import verify
from analysis.techniques import ghost, recipes_for, technique_of
from analysis.techniques.ghost.mask_sets import KIND, MASK_SET
from analysis.views.masks import whole_identity
from beamline.config import GhostbeamConfig
from ghostbeam.method_options import parsed_options
from ghostbeam.reprocess import find_run, reconstructions_of, references_of, services, wait_until_archived

_SHORTEST_UID = 5

Documents = Generator[tuple[str, dict[str, Any]], None, None]


def replay_again(
    config: GhostbeamConfig,
    uid: str,
    *,
    method: str | None,
    options: str,
    seed: int | None,
    masks: str | None,
    console: Console,
    as_json: bool,
) -> None:
    """Reconstruct a run again, maybe with another mask set, store it as a derived run, and say where it is.

    Raises
    ------
    CatalogError
        If there is no such run or method, or the options make no sense.
    """
    _check_uid(uid)
    quiet = Console(quiet=True) if as_json else console
    try:
        chosen = parsed_options(options)
    except ValueError as error:
        raise CatalogError(str(error)) from error
    with (
        quiet.status("starting") as spinner,
        services(config, spinner.update) as running,
        connect(running.uri, running.key) as catalog,
    ):
        start, documents = _measured(config, catalog, uid)
        try:
            rows = technique_of(start).rows
            if masks is not None:
                chosen[MASK_SET] = _other_masks(config, catalog, start, masks)
            recipe = _recipe(start, config, method, chosen, seed)
            doing = f"reconstructing {start['uid'][:8]} by {recipe.method}"
            spinner.update(doing)
            references = references_of(catalog, start, config.state_dir)
            done = replay_documents(
                _told(documents, spinner, doing),
                config.state_dir,
                recipe,
                threads=config.reconstruction.threads,
                references=references,
            )
        except (RunRefused, LookupError, ValueError) as error:
            raise CatalogError(str(error)) from error
        spinner.update("storing it")
        waiting = wait_until_archived(config.state_dir, [done.uid])
    if as_json:
        print(json.dumps({"uid": done.uid, "archived": not waiting}))
        return
    ledger = done.ledger.to_doc()
    console.print(f"Reconstructed by {recipe.method} from {ledger['used']} of {ledger['expected']} {rows}.")
    for remark in done.remarks:
        console.print(f"  [yellow]note[/yellow]         {escape(remark)}", soft_wrap=True)
    console.print(f"  derived run  {done.uid}" + ("  (not in Tiled yet: see `ghostbeam status`)" if waiting else ""))
    console.print(f"  check it     ghostbeam replay {done.uid[:8]} --verify")


def verify_stored(config: GhostbeamConfig, uid: str, *, console: Console, as_json: bool) -> int:
    """Recompute stored reconstructions; 0 if every stored array came out the same to the last bit, else 1."""
    _check_uid(uid)
    quiet = Console(quiet=True) if as_json else console
    results = []
    with (
        quiet.status("starting") as spinner,
        services(config, spinner.update) as running,
        connect(running.uri, running.key) as catalog,
    ):
        run, processed = find_run(catalog, uid)
        uids = [run.metadata["start"]["uid"]] if processed else reconstructions_of(catalog, run.metadata["start"]["uid"])
        if not uids:
            raise CatalogError(f"run {uid} has no stored reconstruction to verify: make one with `ghostbeam replay {uid}`")
        for number, derived in enumerate(uids, start=1):
            title = _title(catalog, derived)
            results.append(_verify_one(catalog, config, derived, spinner, f"recomputing {title} ({number} of {len(uids)})"))
            if not as_json:
                console.print(f"{title}: {results[-1]}", soft_wrap=True, markup=False)
    identical = all(result.identical for result in results)
    if as_json:
        print(json.dumps({"identical": identical, "runs": {result.uid: result.identical for result in results}}))
    return 0 if identical else 1


def _check_uid(uid: str) -> None:
    """Refuse what cannot be looked up, before services are started for it."""
    if len(uid) < _SHORTEST_UID:
        raise CatalogError(f"{uid!r} is too short: give {_SHORTEST_UID} or more of the uid's first characters")


def _title(catalog: Catalog, uid: str) -> str:
    """A reconstruction in words: its method, and the scan that it is of."""
    start = catalog.processed[uid].metadata["start"]
    scan = f"scan {start['scan_id']}" if "scan_id" in start else f"run {start['derived_from'][:8]}"
    return f"{start.get('method', 'a reconstruction')} of {scan}"


def _verify_one(catalog: Catalog, config: GhostbeamConfig, uid: str, spinner: Any, doing: str) -> Any:
    spinner.update(doing)
    derived = catalog.processed[uid]
    raw = catalog.raw[derived.metadata["start"]["derived_from"]]
    try:
        references = references_of(catalog, raw.metadata["start"], config.state_dir)
        with closing(stored_documents(derived)) as stored, closing(_documents_of(config, raw)) as measured:
            return verify(stored, _told(measured, spinner, doing), config.state_dir, references=references)
    except (RunRefused, LookupError) as error:
        raise CatalogError(str(error)) from error


def _measured(config: GhostbeamConfig, catalog: Catalog, uid: str) -> tuple[Mapping[str, Any], Documents]:
    """Start document and documents of the run that a uid, or that of one of its reconstructions, begins so.

    Raises
    ------
    CatalogError
        If there is none, or more than one.
    """
    try:
        run, processed = find_run(catalog, uid)
    except CatalogError:
        with closing(LogReader(log_paths(config.state_dir).raw)) as reader:
            logged = [run for run in reader.runs() if run.uid.startswith(uid)]
        if len(logged) != 1:
            raise
        return logged[0].start, _logged_documents(config, logged[0].uid)
    if processed:
        run = catalog.raw[run.metadata["start"]["derived_from"]]
    return run.metadata["start"], _documents_of(config, run)


def _documents_of(config: GhostbeamConfig, run: Any) -> Documents:
    """A run's documents: from the catalogue, or, if they are not there as they were logged, from the log."""
    as_logged = run.metadata.get("verified_against_log") and not run.metadata.get("converted")
    if not as_logged:
        uid = run.metadata["start"]["uid"]
        with closing(LogReader(log_paths(config.state_dir).raw)) as reader:
            if reader.state(uid) is not RunState.UNKNOWN:
                return _logged_documents(config, uid)
    return stored_documents(run)


def _other_masks(config: GhostbeamConfig, catalog: Catalog, start: Mapping[str, Any], beginning: str) -> str:
    """The identity of the mask set that begins so; brought into the state directory if only the catalogue has it.

    Raises
    ------
    CatalogError
        If there is none, or more than one, or the run knows no masks.
    """
    if technique_of(start) is not ghost.TECHNIQUE:
        raise CatalogError(f"run {start['uid'][:8]} is not a ghost-imaging run: leave --masks out")
    folder = FOLDERS[KIND]
    identity = whole_identity(config.state_dir, beginning, catalog.root.get(folder, ()))
    store = ReferenceStore(config.state_dir)
    if store.stamp(ReferenceName(KIND, identity)) is None:
        store.save(stored_reference(catalog.root[folder][identity], KIND))
    return identity


def _logged_documents(config: GhostbeamConfig, uid: str) -> Documents:
    with closing(LogReader(log_paths(config.state_dir).raw)) as reader:
        for record in reader.documents(uid):
            yield record.name, record.doc


def _told(documents: Documents, spinner: Any, doing: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Pass documents on, and tell how many there were."""
    with closing(documents):
        for number, (name, doc) in enumerate(documents, start=1):
            if number % 500 == 0:
                spinner.update(f"{doing}: {number} documents read")
            yield name, doc
    spinner.update(f"{doing}: all documents read")


def _recipe(
    start: Mapping[str, Any], config: GhostbeamConfig, method: str | None, options: dict[str, Any], seed: int | None
) -> Recipe:
    methods = technique_of(start).methods
    default = recipes_for(start, [Recipe.parse(entry) for entry in config.reconstruction.recipes])[0]
    if method is not None and method not in methods:
        raise CatalogError(f"unknown method {method!r}; the methods for this run are {', '.join(methods)}")
    if method is None or method == default.method:
        options = {**default.options, **options}
    return Recipe(method or default.method, options, default.seed if seed is None else seed)
