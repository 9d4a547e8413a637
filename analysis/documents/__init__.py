"""The document side: log, worker, archiver, catalogue, replay, ingest.

Everything that is stored or reconstructed goes over the document log (`analysis.documents.log`); nothing here is
imported by a plan or a device.
"""
