"""Errors a user can meet while a module is trained."""


class NonFiniteLossError(ValueError):
    """A loss or its gradient became NaN or infinite; the weights are those before the offending step."""
