"""The season of a panel and the context to read: what the frequency suggests, held against the data."""

import numpy as np

from tsrec.frames.panel import Panel

_DAY = 86_400_000_000_000
_MAX_ROWS = 1_000_000
_USUAL_CONTEXT, _LONGEST_CONTEXT = 512, 1344
_USUAL_SEASONS = 21


def seasonal_scale(panel: Panel, season: int) -> np.ndarray:
    """In-sample mean absolute error of the seasonal naive forecast, the scale of MASE (Hyndman & Koehler 2006).

    Returns
    -------
    float array of shape (n_series, n_channels)
        In the unit of each channel; NaN where a series has no pair of observed values `season` steps apart.
    """
    values, owner = panel.values, np.repeat(np.arange(panel.n_series), panel.lengths)
    gaps = np.abs(values[season:] - values[:-season])
    gaps[owner[season:] != owner[:-season]] = np.nan
    seen = ~np.isnan(gaps)
    sums = np.zeros((panel.n_series, panel.n_channels))
    counts = np.zeros_like(sums)
    for channel in range(panel.n_channels):
        rows = seen[:, channel]
        sums[:, channel] = np.bincount(owner[season:][rows], gaps[rows, channel], panel.n_series)
        counts[:, channel] = np.bincount(owner[season:][rows], minlength=panel.n_series)
    with np.errstate(invalid="ignore"):
        return sums / np.where(counts, counts, np.nan)


def choose_season(panel: Panel) -> int:
    """Steps per season: from the frequency if it names one, else the strongest peak of the autocorrelation.

    A sub-daily frequency leaves the choice between a day and a week: the week is taken when its naive forecast is at
    least a tenth better for some variable (in the median over series). A season that no series holds twice is none.
    """
    longest = int(panel.lengths.max())
    suggested = panel.grid.season
    if suggested is None:
        return _autocorrelation_peak(panel)
    candidates = [suggested, 7 * suggested] if panel.grid.kind == "fixed" else [suggested]
    candidates = [season for season in candidates if 2 * season <= longest]
    if not candidates:
        return 1
    if len(candidates) == 1:
        return candidates[0]
    day, week = (seasonal_scale(panel, season) for season in candidates)
    better = np.where(day > 0, week / np.where(day > 0, day, 1.0), np.nan)
    typical = [np.median(ratio[~np.isnan(ratio)]) for ratio in better.T if not np.isnan(ratio).all()]
    return candidates[1] if typical and min(typical) < 0.9 else candidates[0]


def choose_context(panel: Panel, season: int, horizon: int) -> int:
    """Rows to look back on: a quarter of a long series, four horizons or three seasons, but at most 512.

    A long series is one that a quarter of the panel's are as long as; a few that are much longer than the rest say
    nothing of what the rest can tell. Where the day has so many steps that 21 of them are more than 512, those are the
    limit, and at most 1,344. (On folds of hourly, half-hourly and 15-minute series, contexts of two and of four weeks
    were worse or no better.)
    It is a whole number of seasons where that costs less than a quarter of it, and at most half of what such a series
    leaves beside the horizon, so that there is something to learn from.
    """
    long = typical_length(panel)
    room = max((long - horizon) // 2, 1)
    most = min(max(_USUAL_CONTEXT, _USUAL_SEASONS * (panel.grid.season or season)), _LONGEST_CONTEXT)
    wanted = min(max(4 * horizon, 3 * season, long // 4), most)
    context = min(wanted, room)
    whole = context // season * season
    return whole if whole > 0.75 * context else context


def typical_length(panel: Panel) -> int:
    """Rows that a quarter of the series reach."""
    return int(np.quantile(panel.lengths, 0.75))


def _autocorrelation_peak(panel: Panel, *, least: float = 0.3) -> int:
    """The first strong local maximum of the mean autocorrelation of differences; 1 where there is none.

    Differences take trends away, whose slow decay would hide the peaks.
    """
    keep = np.argsort(-panel.lengths, kind="stable")[:32]
    length = int(panel.lengths[keep[0]])
    if length < 12:
        return 1
    rows = []
    for series in keep[panel.lengths[keep] == length]:
        begin = panel.offsets[series + 1] - min(length, _MAX_ROWS // len(keep))
        rows.append(panel.values[begin : panel.offsets[series + 1]].T)
    steps = np.diff(np.vstack(rows), axis=1)
    steps = np.nan_to_num(steps - np.nanmean(np.where(np.isfinite(steps), steps, 0.0), axis=1, keepdims=True))
    power = np.abs(np.fft.rfft(steps, 2 * steps.shape[1], axis=1)) ** 2
    lagged = np.fft.irfft(power, axis=1)[:, : steps.shape[1] // 2 + 1]
    alive = lagged[:, 0] > 0
    if not alive.any():
        return 1
    correlation = (lagged[alive] / lagged[alive, :1]).mean(axis=0)
    inner = correlation[1:-1]
    peaks = np.flatnonzero((inner > correlation[:-2]) & (inner >= correlation[2:]) & (inner > least)) + 1
    peaks = peaks[peaks > 1]
    if not len(peaks):
        return 1
    return int(peaks[correlation[peaks] >= 0.9 * correlation[peaks].max()][0])
