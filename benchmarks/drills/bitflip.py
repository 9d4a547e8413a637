"""Flipped bits in the log's file: copies of it are damaged one bit at a time and read, then one with several is archived."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from analysis.archive.archive_ledger import ArchiveLedger
from analysis.documents.encoding import encode
from analysis.documents.log import LogError, LogReader, LogWriter
from benchmarks._comparison import compare
from benchmarks._services import Services
from benchmarks.drills.background import counted_documents
from benchmarks.drills.chain import Chain

_FLIPS, _QUICK_FLIPS = 400, 40
_IN_ONE_RUN = 8
_ARCHIVER_S = 120.0

Logged = dict[str, list[tuple[str, bytes]]]


def bitflip(chain: Chain) -> str:
    """Flip bits one by one, each in an intact copy, and read everything; then several in one run, and archive the log."""
    uid = chain.scan()
    settled = chain.settle(uid)
    with _damageable(chain, uid) as services:
        path = services.logs.raw
        logged = _read(path)
        flips = _QUICK_FLIPS if chain.quick else _FLIPS
        silent, other = 0, 0
        for _ in range(flips):
            with _flipped(path, chain.random.randrange(8 * path.stat().st_size)):
                try:
                    silent += _read(path) != logged
                except LogError:
                    pass  # the damage was reported
                except Exception as error:
                    print(f"  a flipped bit raises {type(error).__name__}: {error}", flush=True)
                    other += 1
        archived = _archive(chain, services, uid, logged)
    chain.found["undetected"] += silent + other
    return f"{flips} bits flipped: {silent} documents changed in silence, {other} other errors; {archived}; {settled}"


def _archive(chain: Chain, services: Services, victim: str, logged: Logged) -> str:
    """Damage documents of one run, and check that the archiver reports this and archives all other runs."""
    _spoil(services.logs.raw, victim, chain)
    services.start("tiled")
    command = [*services.command("archiver"), "--until-settled"]
    try:
        subprocess.run(command, check=True, timeout=_ARCHIVER_S, stderr=subprocess.DEVNULL)
        ended = "archiver settled"
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        ended = f"archiver did NOT settle ({type(error).__name__})"
    with closing(ArchiveLedger(services.state_dir)) as ledger, services.catalog() as catalog:
        named = ledger.problems().get(victim)
        chain.found["undetected"] += named is None
        for uid in logged.keys() - {victim}:
            chain.found["lost"] += not ledger.is_verified(uid)
            if uid in catalog.raw:
                chain.found.update(compare(catalog.raw, uid, LogReader(services.logs.raw).documents(uid)))
    return f"{ended}, damage {'NOT named' if named is None else 'named: ' + named[:100]}"


@contextmanager
def _damageable(chain: Chain, uid: str) -> Iterator[Services]:
    """Separate services, not yet started, whose log holds a scan of the chain between two other runs."""
    with Services(below=chain.services.folder) as services:
        writer = LogWriter(services.logs.raw)
        before, behind = (list(counted_documents(chain.new_uid(), pages=pages)) for pages in (True, False))
        for name, doc in [*before, *((record.name, record.doc) for record in chain.raw.documents(uid)), *behind]:
            writer(name, doc)
        writer.close()
        with closing(sqlite3.connect(services.logs.raw)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        yield services


@contextmanager
def _flipped(path: Path, bit: int) -> Iterator[None]:
    """Flip one bit of the file for as long as the block lasts."""
    sound = path.with_suffix(".sound")
    shutil.copy(path, sound)
    with path.open("r+b") as file:
        file.seek(bit // 8)
        (byte,) = file.read(1)
        file.seek(bit // 8)
        file.write(bytes([byte ^ 1 << bit % 8]))
    try:
        yield
    finally:
        for suffix in ("-wal", "-shm"):  # files that a reader of the damaged file made
            Path(f"{path}{suffix}").unlink(missing_ok=True)
        shutil.move(sound, path)


def _spoil(path: Path, run: str, chain: Chain) -> None:
    """Flip a bit in several events of a run, as a faulty disk might."""
    with closing(sqlite3.connect(path)) as connection, connection:
        query = "SELECT position, body FROM documents WHERE run = ? AND name = 'event'"
        events = connection.execute(query, (run,)).fetchall()
        for position, body in chain.random.sample(events, _IN_ONE_RUN):
            bit = chain.random.randrange(8 * len(body))
            spoilt = bytes(byte ^ (1 << bit % 8 if number == bit // 8 else 0) for number, byte in enumerate(body))
            connection.execute("UPDATE documents SET body = ? WHERE position = ?", (spoilt, position))


def _read(path: Path) -> Logged:
    """Read all documents by run; raises LogError if the log reports damage."""
    with closing(LogReader(path)) as reader:
        runs = reader.runs()
        for run in runs:
            if run.damage is not None:
                raise LogError(run.damage)
        return {run.uid: _documents(reader, run.uid) for run in runs}


def _documents(reader: LogReader, uid: str) -> list[tuple[str, bytes]]:
    return [(record.name, encode(record.doc)) for record in reader.documents(uid)]
