"""The live page: what is measured and reconstructed now, in any browser, read-only.

Tiled's server serves it (`routers:` in its configuration). Images come from Tiled, by its websocket; what the document log knows
earlier, or alone (how many rows there are, how fast they come, figures of quality), comes from there.
"""
