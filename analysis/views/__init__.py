"""Views for users: the running reconstructions of a session, and the picture of a run."""
