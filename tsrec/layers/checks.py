"""Checks that layers share: what was found and what is allowed."""


def check_rate(rate: float) -> None:
    """Refuse another time scale than 1, which taps and chunks have no way to follow."""
    if rate != 1:
        raise ValueError(f"rate={rate}: this layer counts steps and cannot be told that they are longer.")


def check_counts(**counts: int) -> None:
    """Refuse numbers that are not whole, or below one."""
    for name, count in counts.items():
        if isinstance(count, bool) or not isinstance(count, int) or count < 1:
            raise ValueError(f"{name} must be a whole number of at least 1, got {count!r}.")
