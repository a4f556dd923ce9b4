"""Numbers that must be whole."""

from numbers import Integral
from typing import Any


def check_whole(*, least: int = 1, **numbers: Any) -> None:
    """Refuse what is not a whole number from `least` on; names are those of the arguments."""
    for name, value in numbers.items():
        if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
            raise ValueError(f"{name}: found {value!r}. Give a whole number of at least {least}.")
