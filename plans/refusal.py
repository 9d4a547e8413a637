"""What a plan says when it cannot do what it was asked for."""


class PlanRequestError(ValueError):
    """A plan was asked for something that it cannot or should not do. Nothing has moved."""
