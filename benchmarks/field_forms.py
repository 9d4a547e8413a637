"""Data in common formats: every format gives the same image, every common mistake is named, and none is found in clean scans.

One simulated scan is written in every format and reconstructed; its image must equal that from the same masks and buckets in
a plain file. Common mistakes are introduced into scans with random and with Hadamard masks, and must be named; in clean scans
of programmed objects, with six kinds of masks and noise up to a third of the signal, none may be found.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np

from analysis.documents.recipe import Recipe
from analysis.ghost.mistakes import mistakes
from analysis.offline.acquisition import Acquisition, from_file
from analysis.offline.comparison import compare, loss_doubt
from analysis.offline.ingest_error import IngestError
from benchmarks._clean_scans import Measured, clean_scan, mistakes_of
from benchmarks._common import Claim, arguments_parser, report
from benchmarks._file_forms import Form, Scan, all_forms

CLAIMS = (
    Claim("forms", "forms of masks and buckets tried"),
    Claim("recognised", "those that are read without a conversion by hand"),
    Claim("same_image", "those that give the image of the plain file"),
    Claim("mistakes", "mistakes planted"),
    Claim("named", "those that are named"),
    Claim("false_alarms", "of 200 clean scans, those with which something is said to be wrong", at_most=2),
)
_SAME = 0.999  # correlation of the images
_WORDS = {"turned": "turned or mirrored", "unrelated": "may not belong together"}


def main() -> None:
    """Measure and report."""
    arguments: argparse.Namespace = arguments_parser(__doc__).parse_args()
    size, clean = (16, 12) if arguments.quick else (32, 200)
    details: list[str] = []
    figures = dict.fromkeys((claim.key for claim in CLAIMS), 0)
    for form in all_forms(Scan.simulated((size, size), arguments.seed), Scan.simulated((size - 4, size), arguments.seed)):
        figures["forms"] += 1
        alike = _likeness(form, details)
        figures["recognised"] += alike is not None
        figures["same_image"] += alike is not None and alike > _SAME
        if alike is not None and alike <= _SAME:
            details.append(f"{form.name}: another image, correlation {alike:.3f}")
    for done, name, measured in mistakes_of(size, arguments.seed):
        figures["mistakes"] += 1
        said = _said(measured, by_loss=name == "unrelated")
        named = name in said or any(_WORDS.get(name, "?") in sentence for sentence in said.values())
        figures["named"] += named
        if not named:
            details.append(f"{done}: not named{f', but {said}' if said else ''}")
    for number in range(clean):
        if found := mistakes((measured := clean_scan(number, size, arguments.seed)).masks, measured.buckets):
            figures["false_alarms"] += 1
            details.append(f"clean scan {number}: {'; '.join(map(str, found))}")
    report(CLAIMS, figures, details, arguments.json)
    for part, whole in (("recognised", "forms"), ("same_image", "forms"), ("named", "mistakes")):
        print(f"{part}: {figures[part]} of {figures[whole]}{'' if figures[part] == figures[whole] else ': MISSED'}")


def _likeness(form: Form, details: list[str]) -> float | None:
    """Correlation of a format's image with that of the plain file; None if the format cannot be read."""
    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder, "plain.npz")
        np.savez(plain, masks=form.masks, buckets=form.buckets)
        (within := Path(folder, "form")).mkdir()
        written = form.write(within)
        try:
            images = [_image(from_file(written, hints=form.hints, mend=form.mend)), _image(from_file(plain))]
        except IngestError as error:
            details.append(f"{form.name}: not read: {error}")
            return None
    return float(np.corrcoef(images[0].ravel(), images[1].ravel())[0, 1])


def _image(acquisition: Acquisition) -> np.ndarray:
    return compare(acquisition, [Recipe("least_squares")]).done[0].result.image


def _said(measured: Measured, *, by_loss: bool) -> dict[str, str]:
    """The messages on data in a file, by the name of the mistake."""
    with tempfile.TemporaryDirectory() as folder:
        content = {"masks": measured.masks, "buckets": measured.buckets}
        if measured.reference is not None:
            content["reference"] = measured.reference
        np.savez(Path(folder, "data.npz"), **content)
        acquisition = from_file(Path(folder, "data.npz"))
    said = {mistake.name: str(mistake) for mistake in mistakes(acquisition.masks, acquisition.buckets)}
    said |= {doubt: doubt for doubt in acquisition.doubts if doubt not in said.values()}
    if by_loss and (doubt := loss_doubt(acquisition, compare(acquisition, [Recipe("tv")]))):
        said[doubt] = doubt
    return said


if __name__ == "__main__":
    main()
