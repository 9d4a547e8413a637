"""The latency from an estimate to the live page, and the cost of three open pages for a scan of 64x64 pixels.

The whole chain runs with two fast methods and a scan that is ten times as fast as in reality: once without browsers, once
with three headless Chromium on the same machine, each with the page open, and once more without. The latency is the time from
the estimate's document, when its reconstruction had made it, to the frame in which a browser has drawn it or a newer one: it
includes the document log, the archiver, Tiled and the browser.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import Any

from analysis.archive.read_key import read_key
from analysis.documents.log import LogReader
from analysis.documents.status import read_status
from benchmarks._browser import Browser
from benchmarks._common import Claim, add_speed, arguments_parser, percentile, report
from benchmarks._services import Services, wait_until
from benchmarks._session import SessionProcess

CLAIMS = (
    Claim("page_p95_s", "s from an estimate's document to its pixels in the browser, p95 of three browsers", below=1.0),
    Claim("first_image_s", "s from the first estimate's document to its pixels in the slowest browser", below=2.0),
    Claim("scan_slowdown", "time of the scan with three browsers, in units of that without", at_most=1.1),
)
METHODS = ("differential", "tv")
BROWSERS = 3
EXPOSURE_S = 0.1
_PATIENCE_S = 60.0

_WATCH = """
window.drawn = [];
new MutationObserver((changes) => changes.forEach(({ target }) => {
  const [run, array] = [target.closest("article").dataset.run, target.closest("figure").dataset.array];
  requestAnimationFrame(() => window.drawn.push([run, array, Number(target.dataset.count), Date.now() / 1000]));
})).observe(document.body, { subtree: true, attributeFilter: ["data-count"] });
"""

Seen = list[tuple[str, int, float]]
"""Reconstruction, number of the estimate, and time of its appearance (s since the epoch)."""


def main() -> None:
    """Measure and report."""
    parser = arguments_parser(__doc__)
    add_speed(parser)
    arguments = parser.parse_args()
    num = 200 if arguments.quick else 1024
    with Services(methods=METHODS, seed=arguments.seed, speed=arguments.speed) as services:
        services.start("repeater", "simulation", "tiled", "archiver", "worker")
        session = SessionProcess(services.config_file)
        try:
            alone = [scan(services, session, num)]
            seconds, made, drawn = scan_with_browsers(services, session, num)
            alone.append(scan(services, session, num))
        finally:
            session.kill()
    late = [delay for seen in drawn for delay in delays(made, seen)]
    figures = {
        "page_p95_s": percentile(late, 0.95),
        "first_image_s": max(min(at for _, _, at in seen) for seen in drawn) - min(at for _, _, at in made),
        "scan_slowdown": 2 * seconds / sum(alone),
    }
    details = [
        f"{num} realizations at {num / seconds:.0f}/s with {BROWSERS} browsers, {2 * num / sum(alone):.0f}/s without",
        f"{len(made)} estimates, of which {' and '.join(str(len(seen)) for seen in drawn)} were drawn",
        f"from document to pixels: median {percentile(late, 0.5):.2f} s, longest {max(late):.2f} s",
    ]
    report(CLAIMS, figures, details, arguments.json)


def scan(services: Services, session: SessionProcess, num: int) -> float:
    """Scan, wait until all results are in Tiled and verified, and return the duration of the scan (s)."""
    seconds = float(session.scan(num=num, exposure=EXPOSURE_S, logged=True)["seconds"])
    ended = len(METHODS) * len(LogReader(services.logs.raw).runs())
    wait_until(
        lambda: sum(run.stop is not None for run in LogReader(services.logs.processed).runs()) == ended, _PATIENCE_S, "images"
    )
    wait_until(lambda: settled(services), _PATIENCE_S, "all that was logged is in Tiled")
    return seconds


def settled(services: Services) -> bool:
    """Whether the archiver has nothing left to do."""
    said = read_status(services.state_dir, "archiver") or {}
    return said.get("lag_documents") == 0 and said.get("unsettled_runs") == 0


def scan_with_browsers(services: Services, session: SessionProcess, num: int) -> tuple[float, Seen, list[Seen]]:
    """Scan while browsers show it; return its duration, the times of the estimates, and when each browser drew them."""
    before = {run for run, _, _ in estimates(services)}
    with ExitStack() as stack:
        browsers = [stack.enter_context(Browser()) for _ in range(BROWSERS)]
        for browser in browsers:
            browser.open(f"{services.uri}/custom/page/#key={read_key(services.state_dir)}")
            browser.wait("document.querySelector('.pixels[data-count]') && window.Plotly", _PATIENCE_S)
            browser.value(_WATCH)
        seconds = scan(services, session, num)
        made = [one for one in estimates(services) if one[0] not in before]
        ends = {run: count for run, count, _ in made}
        for browser in browsers:
            ended = " && ".join(
                f"drawn.some(([run,, count]) => run === '{run}' && count >= {count})" for run, count in ends.items()
            )
            browser.wait(ended, _PATIENCE_S)
        time.sleep(0.2)
        drawn = [of_images(browser.value("drawn"), set(ends)) for browser in browsers]
    return seconds, made, drawn


def of_images(drawn: list[list[Any]], runs: set[str]) -> Seen:
    """The images of these reconstructions that a browser drew."""
    return [(run, int(count), float(at)) for run, array, count, at in drawn if array == "image" and run in runs]


def estimates(services: Services) -> Seen:
    """All estimates in the document log, with the time in their documents."""
    records = LogReader(services.logs.processed).documents(None, arrays=False)
    return [(record.run, record.doc["seq_num"], record.doc["time"]) for record in records if record.name == "event"]


def delays(made: Seen, drawn: Seen) -> list[float]:
    """Time from each estimate until it or a newer one was drawn (s)."""
    return [min(when for other, newer, when in drawn if other == run and newer >= count) - at for run, count, at in made]


if __name__ == "__main__":
    main()
