"""Benchmarks that verify ghostbeam's claims. Run one as `python -m benchmarks.NAME [--json FILE] [--quick] [--seed N]`."""
