"""Where the route of `append_route` lies; apart from it, as a client need not import the server."""

ROUTER = "analysis.archive.append_route:router"
"""What `routers:` in the server's configuration says."""


def append_url(container: str) -> str:
    """The address to which further entries of a container's nodes are sent, from the address of its metadata."""
    server, _, path = container.partition("/api/v1/metadata/")
    return f"{server}/custom/append/{path}"
