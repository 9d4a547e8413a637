"""What an experiment does: plans, the stubs they are made of, preprocessors, suspenders and start-document metadata."""

from plans.dark import dark_scan
from plans.fly import fly_scan
from plans.ghost import ghost_scan

__all__ = ["dark_scan", "fly_scan", "ghost_scan"]
