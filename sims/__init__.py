"""Simulated hardware: the physics of an imaging beamline, and a soft IOC that serves it.

Start the IOC with ``python -m sims``; ``python -m sims --help`` explains it. The physics (`Experiment` and its parts) can be
used without it. Nothing here knows how images are reconstructed.
"""
