"""Time counted in seasons, so that one set of weights serves series of any frequency.

A series of p steps per season is brought to q steps per season; neighbours then lie p / q of its own steps apart. Steps
are counted from the moment a forecast is made at, back and ahead.
"""

import numpy as np

from tsrec.frames.seen import mean_of_seen


def to_season_steps(windows: np.ndarray, count: int, factor: float) -> np.ndarray:
    """Means of windows over the latest `count` stretches of `factor` steps.

    Parameters
    ----------
    windows : float array of shape (n, L, n_channels)
        They end where the last stretch ends; NaN is missing.
    count : int
        Stretches.
    factor : float
        Steps of a stretch, whole or not; below 1 a step belongs to several stretches.

    Returns
    -------
    float array of shape (n, count, n_channels)
        NaN where nothing of a stretch was observed.

    Examples
    --------
    >>> to_season_steps(np.arange(5.0).reshape(1, 5, 1), 2, 2.0).ravel().tolist()
    [1.5, 3.5]
    """
    return _means(windows, windows.shape[1] - factor * np.arange(count, -1, -1))


def from_season_steps(
    answers: np.ndarray, count: int, factor: float, *, hold: bool = False, before: np.ndarray | None = None
) -> np.ndarray:
    """Values of `count` steps from those of stretches of `factor` steps.

    Parameters
    ----------
    answers : float array of shape (n, H, ...)
        Of stretches that begin where the first step begins.
    count : int
        Steps, at most ``H * factor``.
    factor : float
        Steps of a stretch. Above 1, values lie on lines from the middle of a stretch to the next; below 1, they are
        means of the stretches of a step.
    hold : bool
        Whether values stay as they are before the first middle and after the last; else their lines go on.
    before : float array of shape (n, ...), optional
        The stretch before the first, to draw the first line from; NaN where it is not known.

    Returns
    -------
    float array of shape (n, count, ...)

    Examples
    --------
    >>> from_season_steps(np.array([[[1.0], [3.0]]]), 4, 2.0).ravel().tolist()
    [0.5, 1.5, 2.5, 3.5]
    """
    if factor < 1:
        return _means(answers, np.arange(count + 1) / factor)
    middle = (np.arange(count) + 0.5) / factor - 0.5
    if before is not None:
        gone_on = 2 * answers[:, 0] - answers[:, min(1, answers.shape[1] - 1)]
        answers = np.concatenate([np.where(np.isnan(before), gone_on, before)[:, None], answers], axis=1)
        middle = middle + 1
    last = answers.shape[1] - 1
    middle = middle.clip(0, last) if hold or not last else middle
    left = np.floor(middle).astype(int).clip(0, max(last - 1, 0))
    right = np.minimum(left + 1, last)
    share = (middle - left).reshape(-1, *[1] * (answers.ndim - 2))
    return (1 - share) * answers[:, left] + share * answers[:, right]


def season_detail(windows: np.ndarray, period: int, count: int, factor: float) -> tuple[np.ndarray, np.ndarray]:
    """What a season shows between stretches of `factor` steps, for the `count` steps after windows, and the rest.

    Parameters
    ----------
    windows : float array of shape (n, L, n_channels)
        NaN is missing.
    period : int
        Steps p of a season.
    count : int
        Steps ahead.
    factor : float
        Steps of a stretch; at 1 or below nothing lies between them.

    Returns
    -------
    detail : float array of shape (n, count, n_channels)
        The mean over seasons of what lies off the lines between stretches; zeros where a phase was never observed.
    noise : float array of shape (n, n_channels)
        Root mean square of what is left of that.
    """
    n, length, channels = windows.shape
    if factor <= 1 or length < period:
        return np.zeros((n, count, channels)), np.zeros((n, channels))
    whole = windows[:, length % period :]
    steps = whole.shape[1]
    # A stretch without any value has no say in its neighbours.
    coarse = to_season_steps(whole, round(steps / factor), factor)
    off = whole - from_season_steps(coarse, steps, factor)
    if steps > period:
        # Lines that go on beyond the ends say less than those between.
        half = int(np.ceil(factor / 2))
        off[:, :half] = off[:, steps - half :] = np.nan
    seasons = off.reshape(n, -1, period, channels)
    profile = mean_of_seen(seasons, 1)
    left = mean_of_seen((seasons - profile[:, None]) ** 2, (1, 2))
    return np.nan_to_num(profile[:, np.arange(count) % period]), np.nan_to_num(np.sqrt(left))


def filled_front(windows: np.ndarray, period: int) -> np.ndarray:
    """Windows whose unseen front repeats the season after it; others as they are.

    Parameters
    ----------
    windows : float array of shape (n, L, n_channels)
        NaN is missing.
    period : int
        Steps of a season.

    Returns
    -------
    float array of shape (n, L, n_channels)

    Examples
    --------
    >>> filled_front(np.array([[[np.nan], [np.nan], [np.nan], [1.0], [2.0]]]), 2).ravel().tolist()
    [2.0, 1.0, 2.0, 1.0, 2.0]
    """
    front = np.isnan(windows) & ~np.logical_or.accumulate(~np.isnan(windows), axis=1)
    if not front.any() or period < 1:
        return windows
    filled = windows.copy()
    for end in range(windows.shape[1] - period, 0, -period):
        begin = max(end - period, 0)
        later = filled[:, begin + period : end + period]
        filled[:, begin:end] = np.where(front[:, begin:end], later, filled[:, begin:end])
    return filled


def _means(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Means (n, E - 1, ...) of values (n, L, ...) between places (E,), whole or not, of what is observed there."""
    seen = ~np.isnan(values)
    # Sums of values far from zero would lose digits.
    level = np.nan_to_num(mean_of_seen(values, 1))[:, None]
    total = np.diff(_sums(np.where(seen, values - level, 0.0), edges), axis=1)
    count = np.diff(_sums(seen.astype(float), edges), axis=1)
    # Rounding leaves crumbs of steps that only touch a stretch.
    known = count > 1e-9
    return np.where(known, level + total / np.where(known, count, 1.0), np.nan)


def _sums(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Sums of values (n, L, ...) up to places (E,) between 0 and L, a step counting by its share, (n, E, ...)."""
    length = values.shape[1]
    upto = np.zeros((len(values), length + 1, *values.shape[2:]))
    np.cumsum(values, axis=1, out=upto[:, 1:])
    place = edges.clip(0, length)
    left = np.minimum(place.astype(int), length - 1)
    share = (place - left).reshape(-1, *[1] * (values.ndim - 2))
    return upto[:, left] + share * values[:, left]
