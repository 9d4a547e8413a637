"""The claims of ghostbeam, measured. Run one as `python -m benchmarks.NAME [--json FILE] [--quick] [--seed N]`."""
