"""The theta method on many windows at once: arrays are (rows, windows), and only the rows are looped over."""

import numpy as np

from tsrec.frames.seen import mean_of_seen

# Largest first: where several fit equally well, the one that follows the data most closely is taken.
ALPHAS = np.array([0.99, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1])
_STEPS = (1, 2)
_WARM_UP = 8
_PRIOR_WEIGHT = 0.5
_PRIOR_COUNT = 10
_SHRINKAGE = 2.0
_LEAST_FACTOR = 0.01
_TIED = 1 + 1e-9


def theta_forecast(
    windows: np.ndarray, horizon: int, season: int, theta: float | None = None, alphas: np.ndarray = ALPHAS
) -> np.ndarray:
    """Forecasts of windows by exponential smoothing with a part of the linear trend, the season taken out and put back.

    Parameters
    ----------
    windows : float array of shape (length, n)
        NaN is missing.
    horizon, season : int
        Steps to forecast; steps per season.
    theta : float, optional
        Of the second theta line, at least 1; chosen per window when None.
    alphas : float array of shape (n_alphas,)
        Smoothing constants to choose from, the preferred ones first.

    Returns
    -------
    float array of shape (horizon, n)
        NaN for windows without any value.
    """
    seen = ~np.isnan(windows)
    found = seen.any(axis=0)
    answer = np.full((horizon, windows.shape[1]), np.nan)
    if found.any():
        rows = windows[int(seen.any(axis=1).argmax()) :, found]
        peak = np.abs(np.where(np.isnan(rows), 0.0, rows)).max(axis=0)
        peak[peak == 0] = 1.0
        rows = rows / peak
        pattern, by_factor = seasonal_pattern(rows, season)
        before = pattern[np.arange(-len(rows), 0) % season]
        after = pattern[np.arange(horizon) % season]
        ahead = _two_lines(
            np.where(by_factor, rows / np.where(by_factor, before, 1.0), rows - before), horizon, theta, alphas
        )
        answer[:, found] = np.where(by_factor, ahead * after, ahead + after) * peak
    return answer


def seasonal_pattern(rows: np.ndarray, season: int) -> tuple[np.ndarray, np.ndarray]:
    """Seasonal factors of windows whose values are all positive, summands of the others; shrunk by their uncertainty.

    Parameters
    ----------
    rows : float array of shape (length, n)
        NaN is missing.
    season : int
        Steps per season. Windows of less than two seasons have no pattern.

    Returns
    -------
    pattern : float array of shape (season, n)
        By phase; the row after the window has phase 0.
    by_factor : bool array of shape (n,)
        Where the pattern multiplies.
    """
    seen = ~np.isnan(rows)
    by_factor = np.all((rows > 0) | ~seen, axis=0)
    span = len(rows) - seen.argmax(axis=0)
    long = (span >= 2 * season) & (seen.sum(axis=0) > season) & (season > 1)
    pattern = np.zeros((season, rows.shape[1]))
    places = np.flatnonzero(long & by_factor)
    if len(places):
        pattern[:, places] = shrunk_phases(classical_ratios(rows[:, places], season, by_factor=True), season, 1.0)
        # A season that all but vanishes in a phase cannot be divided out there.
        by_factor[places] = pattern[:, places].min(axis=0) > _LEAST_FACTOR
    pattern[:, by_factor & ~long] = 1.0
    places = np.flatnonzero(long & ~by_factor)
    if len(places):
        pattern[:, places] = shrunk_phases(classical_ratios(rows[:, places], season, by_factor=False), season, 0.0)
    return pattern, by_factor


def classical_ratios(rows: np.ndarray, season: int, *, by_factor: bool) -> np.ndarray:
    """What the centred moving average over a season leaves: ratios to it, or differences; NaN at either end.

    Parameters
    ----------
    rows : float array of shape (length, n)
        NaN is missing; averages are over what is seen, of which there must be half a season.
    season : int
        Steps per season, at most `length`.
    by_factor : bool
        Ratios rather than differences.

    Returns
    -------
    float array of shape (length, n)
    """
    seen = ~np.isnan(rows)
    half = season // 2
    total, count = (_season_sums(part, season) for part in (np.where(seen, rows, 0.0), seen.astype(np.float64)))
    average = np.full(rows.shape, np.nan)
    average[half : len(rows) - half] = np.where(count >= season / 2, total, np.nan) / np.where(count > 0, count, 1.0)
    average[np.arange(len(rows))[:, None] < seen.argmax(axis=0) + half] = np.nan
    return rows / average if by_factor else rows - average


def _season_sums(rows: np.ndarray, season: int) -> np.ndarray:
    """Sums over a season around each row; an even season counts its two ends by half."""
    running = np.vstack([np.zeros((1, rows.shape[1])), np.cumsum(rows, axis=0)])
    sums = running[season:] - running[:-season]
    return sums if season % 2 else 0.5 * (sums[1:] + sums[:-1])


def shrunk_phases(ratios: np.ndarray, season: int, neutral: float) -> np.ndarray:
    """Mean of each phase, of mean `neutral` over the season and drawn towards it.

    With V the sum of squared deviations of the phases from `neutral`, and v the sum of the squared standard errors of
    the phase means, deviations are multiplied by V / (V + 2 v): a season that is not there vanishes without a test.

    Parameters
    ----------
    ratios : float array of shape (length, n)
        NaN is missing.
    season : int
        Steps per season.
    neutral : float
        1 for factors, 0 for summands.

    Returns
    -------
    float array of shape (season, n)
    """
    padded = np.pad(ratios, ((-len(ratios) % season, 0), (0, 0)), constant_values=np.nan)
    table = padded.reshape(-1, season, ratios.shape[1])
    phases = mean_of_seen(table, axis=0)
    phases = np.where(np.isnan(phases), neutral, phases)
    phases = phases / phases.mean(axis=0) if neutral else phases - phases.mean(axis=0)
    deviations = phases - neutral
    per_phase = (~np.isnan(table)).sum(axis=0).mean(axis=0)
    noise = np.nan_to_num(mean_of_seen(mean_of_seen((table - phases) ** 2, axis=0), axis=0))
    error = season * noise / np.maximum(per_phase - 1, 1)
    spread = (deviations**2).sum(axis=0)
    return neutral + deviations * spread / np.maximum(spread + _SHRINKAGE * error, np.finfo(float).tiny)


def _two_lines(rows: np.ndarray, horizon: int, theta: float | None, alphas: np.ndarray) -> np.ndarray:
    """Theta forecasts (horizon, n) of windows without a season, each with at least one value."""
    first = np.take_along_axis(rows, (~np.isnan(rows)).argmax(axis=0)[None], axis=0)[0]
    rows = rows - first
    slopes = running_slopes(rows)
    level, reach, sums, count = _smoothed(rows, slopes, alphas)
    squares, products, drifts = sums
    if theta is None:
        best = np.where(drifts > 0, products / np.where(drifts > 0, drifts, 1.0), _PRIOR_WEIGHT)
        weight = np.clip((count * best + _PRIOR_COUNT * _PRIOR_WEIGHT) / (count + _PRIOR_COUNT), 0.0, 1.0)
    else:
        weight = np.full(level.shape, 1 - 1 / theta)
    errors = squares - 2 * weight * products + weight**2 * drifts
    # What differs by rounding alone is tied, or the company of other windows could change the choice.
    chosen = (errors <= errors.min(axis=0) * _TIED).argmax(axis=0)[None]
    level, reach, weight = (np.take_along_axis(part, chosen, axis=0)[0] for part in (level, reach, weight))
    return first + level + weight * slopes[-1] * (reach + np.arange(horizon)[:, None])


def running_slopes(rows: np.ndarray) -> np.ndarray:
    """Slope of the least-squares line through all values up to each row; 0 before the second value.

    Parameters
    ----------
    rows : float array of shape (length, n)
        NaN is missing.

    Returns
    -------
    float array of shape (length, n)
    """
    seen = ~np.isnan(rows)
    values = np.where(seen, rows, 0.0)
    steps = np.arange(len(rows))[:, None] - len(rows) / 2
    count, time, level, square, product = (
        np.cumsum(part, axis=0) for part in (seen, steps * seen, values, steps**2 * seen, steps * values)
    )
    count = np.maximum(count, 1)
    spread = square - time**2 / count
    return np.where(spread > 0.25, product - time * level / count, 0.0) / np.where(spread > 0.25, spread, 1.0)


def _smoothed(
    rows: np.ndarray, slopes: np.ndarray, alphas: np.ndarray
) -> tuple[np.ndarray, np.ndarray, list[np.ndarray], np.ndarray]:
    """Exponential smoothing of windows that begin at 0, and of a line of slope 1, with each constant.

    The forecast k steps ahead is level + weight * slope * (reach + k - 1), where ``reach`` is how far the line lies
    above its own smoothing: errors are linear in the weight, so three sums of products give their square for any.

    Returns
    -------
    level, reach : float arrays of shape (n_alphas, n)
    sums : list of three float arrays of shape (n_alphas, n)
        Over all errors of a forecast without trend: their squares, their products with the trend's part, its squares.
    count : float array of shape (n,)
        Values that were forecast one step ahead.
    """
    seen = ~np.isnan(rows)
    counts = np.cumsum(seen, axis=0)
    values, weights, begun = np.where(seen, rows, 0.0), seen.astype(np.float64), (counts > 0).astype(np.float64)
    warm = counts >= np.maximum(np.minimum(_WARM_UP, counts[-1] // 2), 1)
    shape = (len(alphas), rows.shape[1])
    level, reach, alpha = np.zeros(shape), np.zeros(shape), alphas[:, None]
    squares, products, drifts = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    for row in range(len(rows)):
        part = alpha * weights[row]
        level += part * (values[row] - level)
        reach += begun[row] - part * reach
        for ahead in _STEPS:
            if row + ahead >= len(rows):
                continue
            usable = weights[row + ahead] * warm[row]
            error = (values[row + ahead] - level) * usable
            drift = (reach + (ahead - 1)) * (slopes[row] * usable)
            squares += error * error
            products += error * drift
            drifts += drift * drift
    return level, reach, [squares, products, drifts], (weights[1:] * warm[:-1]).sum(axis=0)
