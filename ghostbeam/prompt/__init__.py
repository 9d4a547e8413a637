"""What an IPython session at the beamline shows and says; the start-up folder puts it together."""
