"""Learning rate schedules as pure functions of the step, so that a resumed run needs no schedule object."""

import math

SCHEDULES = ("one_cycle", "constant", "cosine")
_WARM_UP = 0.3
_START = 1 / 25
_END = 1e-5


def schedule_factor(schedule: str, step: int, total: int) -> float:
    """Share of the peak learning rate at ``step`` of ``total`` (counted from 0).

    "one_cycle" rises from 1/25 over the first 30 % and falls to nearly 0, both along a cosine (Smith and Topin, 2017,
    arXiv:1708.07120, without the cycle of momentum); "cosine" falls from 1 to 0; "constant" stays.

    Examples
    --------
    >>> [round(schedule_factor("one_cycle", step, 11), 2) for step in (0, 3, 10)]
    [0.04, 1.0, 0.0]
    """
    if schedule == "constant":
        return 1.0
    progress = step / max(total - 1, 1)
    if schedule == "cosine":
        return _along_cosine(1.0, 0.0, progress)
    if progress <= _WARM_UP:
        return _along_cosine(_START, 1.0, progress / _WARM_UP)
    return _along_cosine(1.0, _END, (progress - _WARM_UP) / (1 - _WARM_UP))


def _along_cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2
