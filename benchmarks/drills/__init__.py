"""The drills of `benchmarks.kill_drills`, one kind of failure per module, and the check of the remaining data."""
