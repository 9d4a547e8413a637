"""Documents: the log that holds them, what those of a ghost-imaging scan mean, and those of a reconstruction.

Everything that is stored or reconstructed goes over the document log (`analysis.documents.log`).
"""
