"""Documents: the log that holds them, the meaning of those of a ghost-imaging scan, and those of a reconstruction.

Everything that is stored or reconstructed passes through the document log (`analysis.documents.log`).
"""
