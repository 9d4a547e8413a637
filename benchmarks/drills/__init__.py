"""What is done to a running chain in `benchmarks.kill_drills`, one kind of mishap a module, and how what is left is judged."""
