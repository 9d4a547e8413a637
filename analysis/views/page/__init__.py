"""The live page: the present measurement and its reconstructions, in any browser, read-only.

Tiled's server serves it (`routers:` in its configuration). Images come from Tiled, by its websocket; information that the
document log has earlier, or exclusively (number of rows, their rate, figures of quality), comes from the log.
"""
