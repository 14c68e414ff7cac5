"""What a comparison of a store with what was acknowledged fails with."""


class Lost(AssertionError):
    """A store is not what was acknowledged."""
