"""`python -m ghostbeam` is the command `ghostbeam`."""

from ghostbeam.cli import main

main()
