"""Penalties of the alternating direction method's copies, in units of that of the copy of D x."""

DATA_PENALTY = 3.0
PLAIN_PENALTY = 1.0
"""Of the copies of W x and of x. Of nine pairs tried these converge fastest over a range of 100 in weight."""
