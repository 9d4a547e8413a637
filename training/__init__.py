"""Makes the weights that ship with ghostbeam; runs in a checkout, uses all packages and is used by none."""
