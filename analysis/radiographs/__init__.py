"""The noise of radiographs behind a scintillator: its correlation, and how to undo it. Arrays in, arrays out."""
