"""Failures of a machine with few resources: few open files, little memory."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.drills.chain import Chain

_LIMITED = ("archiver", "worker")


def limited(option: str, value: int, what: str) -> Callable[[Chain], str]:
    """Return a drill: a scan while archiver and worker run under a limit set with the shell's `ulimit`.

    Parameters
    ----------
    option : str
        Option of `ulimit`, such as "-n".
    value : int
        The limit.
    what : str
        The limit, in words.
    """

    def drill(chain: Chain) -> str:
        services = chain.services
        services.end(*_LIMITED)
        services.start(*_LIMITED, below=["bash", "-c", f'ulimit {option} {value} && exec "$@"', "bash"])
        settled = chain.settle(chain.scan())
        services.end(*_LIMITED)
        services.start(*_LIMITED)
        return f"archiver and worker with {what}; {settled}"

    return drill
