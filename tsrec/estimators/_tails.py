"""How high a threshold must be to be passed rarely, from the tail of what has been seen.

Pickands (1975), Statistical inference using extreme order statistics; Siffer, Fouque, Termier and Largouet (2017),
Anomaly detection in streams with extreme value theory, KDD, equation 1; Hosking and Wallis (1987), Parameter and
quantile estimation for the generalized Pareto distribution, Technometrics 29.
"""

import numpy as np

# Share of the values that the tail is made of, how many it needs at least, and the shapes that are believed.
_TAIL, _FEWEST = 0.05, 10
_SHAPES = (-0.5, 0.5)


def rare_level(values: np.ndarray, risk: float) -> float:
    """Level that a further value passes with probability `risk`, by peaks over threshold.

    Excesses over a high quantile t follow a generalized Pareto distribution of shape g and scale s, which are taken
    from the probability-weighted moments a0 and a1 of the excesses. The level is ``t + s / g ((risk / share)^-g - 1)``,
    where `share` of the values lie above t.

    Parameters
    ----------
    values : float array of shape (n,)
        What has been seen; NaN is left out.
    risk : float
        Between 0 and 1.

    Returns
    -------
    float
        The empirical quantile where there are too few values for a tail, or `risk` is no rarer than it.
    """
    ordered = np.sort(values[~np.isnan(values)])
    if not len(ordered):
        return 0.0
    excesses = max(int(_TAIL * len(ordered)), _FEWEST)
    if risk * len(ordered) >= excesses or excesses >= len(ordered):
        return float(np.quantile(ordered, 1 - risk))
    bottom = ordered[-excesses - 1]
    shape, scale = _pareto(ordered[-excesses:] - bottom)
    ratio = risk * len(ordered) / excesses
    return float(bottom + scale * (-np.log(ratio) if abs(shape) < 1e-9 else (ratio**-shape - 1) / shape))


def _pareto(excess: np.ndarray) -> tuple[float, float]:
    """Shape and scale of a generalized Pareto distribution, of ascending excesses (Hosking and Wallis, section 4.2)."""
    a0 = excess.mean()
    if not a0 > 0:
        return 0.0, 0.0
    above = 1 - (np.arange(1, len(excess) + 1) - 0.35) / len(excess)
    a1 = (above * excess).mean()
    shape = float(np.clip(2 - a0 / (a0 - 2 * a1), *_SHAPES))
    # The scale that keeps the mean of the excesses, for the shape that is believed.
    return shape, float(a0 * (1 - shape))
