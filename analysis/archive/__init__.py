"""From the document log into Tiled: the archiver, the catalogue and the embedded server."""
