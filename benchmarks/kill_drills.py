"""Failures at random moments of a scan, and a check of the remaining data.

Each drill is one scan with three reconstructions, two fast ones and a short Noise2Ghost, through the whole chain, with one
failure. The kinds:

kill       worker, archiver, Tiled or session killed (`kill -9`); a service is restarted, as by the supervisor
stopped    one of them stopped for two minutes (SIGSTOP), then SIGCONT
reboot     session, supervisor and all services killed at once, then `ghostbeam up`
clock      the wall clock jumps by +1, -2, +30 s, and archiver or worker is restarted after the jump
disk_full  no space on the disk for three seconds; the scan is aborted
poison     runs with irregular documents, metadata, recipes and columns are logged at the same time
bitflip    bits are flipped in a copy of the log, and the copy is archived
down       `ghostbeam down` during a scan, and the services started again
few_files  archiver and worker may open 64 files each
memory     archiver and worker may use 3 GB of address space each
backlog    archiver and worker are started when 100 000 events wait for them
tiny_runs  500 runs of eight realizations at once
sessions   eight sessions at once

clock and disk_full need a mount namespace; if none is permitted they are skipped, and the reason is given. When everything is
settled, every document accepted by the log is checked in the log and in Tiled, and the final images are compared, bit by bit,
with those of a worker that processes the same documents undisturbed. With --technique fly the scans are fly scans, and the
writer of the detector is killed too; every frame must match its number and the position of its trigger. With --technique
ptychography they are fly scans of a sample whose object and probe are reconstructed by ePIE. With --soak kinds are drawn at
random while other runs are logged.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack

from benchmarks._common import Claim, arguments_parser, report
from benchmarks._services import Services
from benchmarks.drills.background import Background
from benchmarks.drills.bitflip import bitflip
from benchmarks.drills.chain import SERVICES, Chain
from benchmarks.drills.fly import FLY, PTYCHOGRAPHY, FlyDrill
from benchmarks.drills.judging import judge
from benchmarks.drills.limits import limited
from benchmarks.drills.load import backlog, sessions, tiny_runs
from benchmarks.drills.machine import Machine
from benchmarks.drills.namespace import Namespace, enter
from benchmarks.drills.poison import poison
from benchmarks.drills.processes import down, killed, reboot, stopped

Drill = Callable[[Chain], str]

KINDS: dict[str, Drill] = {
    "kill": killed,
    "stopped": stopped,
    "reboot": reboot,
    "poison": poison,
    "bitflip": bitflip,
    "down": down,
    "few_files": limited("-n", 64, "64 open files at most"),
    "memory": limited("-v", 3_000_000, "3 GB of addresses at most"),
    "backlog": backlog,
    "tiny_runs": tiny_runs,
    "sessions": sessions,
}
FLYING: dict[str, FlyDrill] = {"fly": FLY, "ptychography": PTYCHOGRAPHY}
NEED_NAMESPACE = ("clock", "disk_full")
_ROUND = 8  # drills of a soak between two checks


def main() -> None:
    """Drill and report."""
    parser = arguments_parser(__doc__)
    parser.add_argument("--n", type=int, help="drills of the kind (default: 20; 4 with --quick)")
    parser.add_argument(
        "--kind", choices=[*KINDS, *NEED_NAMESPACE], default="kill", help="what goes wrong (default: %(default)s)"
    )
    parser.add_argument("--soak", type=float, metavar="HOURS", help="draw kinds at random for so long, while other runs go on")
    parser.add_argument("--technique", choices=["ghost", *FLYING], default="ghost", help="of the scans (default: %(default)s)")
    arguments = parser.parse_args()
    flying = FLYING.get(arguments.technique)
    if flying and (arguments.kind != "kill" or arguments.soak):
        parser.error(f"with --technique {arguments.technique} there is the kind kill alone")
    refused = None
    if (arguments.soak or arguments.kind in NEED_NAMESPACE) and not Namespace.inside():
        refused = enter("benchmarks.kill_drills")
    if arguments.kind in NEED_NAMESPACE and refused:
        parser.exit(0, f"{arguments.kind} is left out: {refused}\n")
    number = arguments.n or (4 if arguments.quick else 20)
    with ExitStack() as stack:
        kinds = dict(KINDS)
        namespace = stack.enter_context(Namespace()) if Namespace.inside() else None
        if namespace is not None:
            machine = Machine(namespace)
            kinds |= {"clock": machine.clock, "disk_full": machine.disk_full}
        if flying:
            kinds["kill"] = flying
        below = None if namespace is None else namespace.disk
        frames = {"frames": flying.frames} if flying else {}
        services = stack.enter_context(Services(seed=arguments.seed, num_masks=256, below=below, **frames))
        services.start(*SERVICES)
        chain = Chain(services, arguments.seed, quick=arguments.quick, **frames)
        stack.callback(chain.close)
        drills = [kinds[arguments.kind]] * number
        found = soak(chain, kinds, arguments.soak) if arguments.soak else drill(chain, drills)
    claims = (
        Claim("drills", "mishaps"),
        Claim("lost", "documents lost or changed", exactly=0),
        Claim("duplicated", "documents stored more than once", exactly=0),
        Claim("order", "documents out of order", exactly=0),
        *([Claim("mispaired", "frames and positions that are not those of their number", exactly=0)] if flying else []),
        Claim("undetected", "documents and runs damaged that nobody named", exactly=0),
        Claim("identical", "scans whose final images are bit-identical to undisturbed ones", exactly=found["scans"]),
    )
    found["drills"] = chain.drills
    ended = ", ".join(f"{name} {times} times" for name, times in chain.ended_by_itself.items()) or "none"
    details = [f"{found['documents']} documents looked for in Tiled", f"services that ended by themselves: {ended}"]
    report(claims, {claim.key: found[claim.key] for claim in claims}, details, arguments.json)


def drill(chain: Chain, drills: list[Drill]) -> Counter[str]:
    """Do drills one after the other, and check the remaining data."""
    for one in drills:
        chain.drill(one)
    return judge(chain)


def soak(chain: Chain, kinds: dict[str, Drill], hours: float) -> Counter[str]:
    """Draw kinds at random for this many hours while other runs are logged; check after every few."""
    found: Counter[str] = Counter()
    end = time.monotonic() + 3600 * hours
    while time.monotonic() < end:
        with Background(chain):
            for _ in range(_ROUND):
                chain.drill(chain.random.choice(list(kinds.values())))
        found.update(judge(chain))
        chain.forget()
    return found


if __name__ == "__main__":
    main()
