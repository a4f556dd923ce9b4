"""Forecasts from analogues: what followed the stretches of history that are most like the present one."""

from collections.abc import Sequence
from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd

from tsrec.estimators._blocks import forecast_rows
from tsrec.estimators._callbacks import CallbackSupportMixin
from tsrec.estimators._composed import TellsMembers
from tsrec.estimators._forecaster import BaseForecaster
from tsrec.estimators._parameters import check_choice, check_flag, check_positive, check_verbose, check_whole
from tsrec.estimators.baseline import DEFAULT_QUANTILES
from tsrec.frames import Panel, variable_names
from tsrec.frames.season import choose_context
from tsrec.frames.seen import mean_of_seen
from tsrec.retrieval._analogues import Library, Measure
from tsrec.retrieval._retrieved import answer, learn, looking_up, mixed, weigh

_MIXES, _ALIGNMENTS, _SIMILARITIES = (
    ("gate", "residual", "linear"),
    ("season", "last", "future"),
    ("concordance", "pearson"),
)
# Cut-offs answered at a time.
_AT_ONCE = 512


class RetrievalForecaster(TellsMembers, CallbackSupportMixin, BaseForecaster):
    """Look up what followed the stretches of history that are most like the present one.

    Windows of the training rows are the library. Those most similar to the last `context` rows before a cut-off are
    its analogues; what happened after them, brought to the present level and season, is averaged and corrects a
    forecast: that of `base`, or the level and season themselves. How much the correction counts is measured on
    training rows that a fit on earlier ones has not seen. No window whose future ends after a cut-off is ever looked
    at, nor, in the series itself, one that reaches into the rows that are looked back on.

    Parameters
    ----------
    base : forecaster, optional
        What analogues correct. Fitted as a clone, which takes `horizon`, `quantiles` and `freq` from here. Without one
        analogues forecast alone.
    horizon : int
        Steps of one block of forecasts.
    context : int or "auto"
        Rows that are compared; from the length of the history when "auto".
    season : int or "auto"
        Steps per season; from the frequency and the data when "auto".
    k : int
        Analogues.
    temperature : float
        Their weights are the softmax of the similarity over it.
    mix : {"gate", "residual", "linear"} or None
        "gate" moves from the base towards the analogues, a share at each step; "residual" adds a share of the errors
        that the base made after the analogues; "linear" is a linear map, solved in closed form, of the window and of
        what followed the analogues in each view. None takes the analogues as they are; there must be no base then.
    align : {"season", "last", "future"}
        What a future is taken relative to: the forecast of :class:`tsrec.SeasonalMeanForecaster` for its window, with
        seasons left out of the comparison too; the last value of the window; or its own last value (for "linear").
    similarity : {"concordance", "pearson"}
        Of windows less their last value: 2 a'b / (a'a + b'b), by which shape and size count, or Pearson's correlation,
        by which shape alone does.
    views : sequence of int
        Windows are compared as means of so many steps, once for each number; analogues of all views count.
    joint : bool
        Whether variables are compared together, and share their analogues.
    scale : bool or "auto"
        Whether windows and futures are brought to one standard deviation; "auto": where there are several series.
    across : bool
        Whether analogues may lie in other series.
    freq : str or offset, optional
        Frequency of the index, where it cannot be read from it.
    quantiles : sequence of float
        Levels at which quantiles are given.
    verbose : int
        1 shows a progress bar while analogues are looked up; 0 is silent. `base` has its own.

    Attributes
    ----------
    weight_ : float array of shape (horizon,), or (n_features, horizon) of a linear mix
        Share of the correction at each step, never more further ahead; or the linear map of the window, in its last
        `context_` values less the last one, and of the futures of each view.
    widths_ : float array of shape (n_levels,)
        How many times as far from the point quantiles lie as those of the analogues do from their mean.
    penalty_ : float
        Ridge penalty of a linear mix, relative to the mean square of a feature.
    base_ : forecaster or None
        The fitted base.
    own_ : forecaster
        The forecast that analogues are aligned by.
    season_, context_ : int
        The season and the context in use.
    freq_ : str or None
        The frequency in use.
    unit_ : float array of shape (n_channels,)
        Standard deviations of the variables, in which they are compared.
    library_ : Panel
        The training rows.
    panel_ : Panel
        The history.

    Notes
    -----
    Quantiles are weighted quantiles of the aligned futures about their mean, as far apart as held-out rows call for.
    RAFT's own setting is ``align="future", similarity="pearson", views=(4, 2, 1), joint=True, k=20, mix="linear"``,
    with its linear maps, which make one, solved by ridge regression instead of trained.

    Indexes that count (arrays, default indexes) are taken for times as all others are: a history that begins at 0
    again is one that goes back to the beginning, and sees only what lies before its cut-off.

    References
    ----------
    Han, Lee, Cha, Arik and Yoon (2025), Retrieval augmented time series forecasting, ICML, arXiv 2505.04163.

    Examples
    --------
    >>> day = np.tile([0.0, 1.0, 3.0, 2.0], 60) + np.repeat([0.0, 0.0, 9.0], 80)
    >>> y = pd.Series(day, pd.date_range("2024-01-01", periods=240, freq="6h"))
    >>> forecaster = RetrievalForecaster(horizon=4, context=8, season=4, k=5).fit(y)
    >>> forecaster.predict().round(1).tolist()
    [9.0, 10.0, 12.0, 11.0]
    >>> forecaster.explain().columns.tolist()[-7:]
    ['series', 'start', 'end', 'weight', 'similarity', 'future_start', 'future_end']
    """

    base_: BaseForecaster | None
    own_: BaseForecaster
    library_: Panel
    weight_: np.ndarray
    widths_: np.ndarray

    def __init__(
        self,
        base: Any = None,
        *,
        horizon: int = 24,
        context: int | str = "auto",
        season: int | str = "auto",
        k: int = 100,
        temperature: float = 0.1,
        mix: str | None = "residual",
        align: str = "season",
        similarity: str = "concordance",
        views: Sequence[int] = (1,),
        joint: bool = False,
        scale: bool | str = "auto",
        across: bool = True,
        freq: Any = None,
        quantiles: Sequence[float] = DEFAULT_QUANTILES,
        verbose: int = 0,
    ) -> None:
        self.base = base
        self.horizon = horizon
        self.context = context
        self.season = season
        self.k = k
        self.temperature = temperature
        self.mix = mix
        self.align = align
        self.similarity = similarity
        self.views = views
        self.joint = joint
        self.scale = scale
        self.across = across
        self.freq = freq
        self.quantiles = quantiles
        self.verbose = verbose

    def explain(
        self, X: Any = None, *, history: Any = None, history_X: Any = None, history_past: Any = None
    ) -> pd.DataFrame:
        """Where the analogues of a forecast lie.

        Parameters
        ----------
        X, history, history_X, history_past
            As in `predict`. Steps beyond `horizon` come in blocks, of which each has analogues of its own.

        Returns
        -------
        DataFrame
            A row per analogue. Columns: query, the series that is forecast; cutoff, the time of the first step of the
            block; variable, unless variables are compared jointly; view, the steps that were averaged; rank; series,
            start and end of the analogue; weight; similarity; future_start and future_end. Ends are exclusive.
        """
        panel, request = self._asked(X, history, history_X, history_past)
        columns = self._form(history).columns
        tables: list[pd.DataFrame] = []

        def told(panel: Panel, cutoffs: np.ndarray) -> np.ndarray:
            tables.append(self._table(panel, cutoffs, columns))
            return self._forecast(panel, cutoffs)

        forecast_rows(told, panel, request, self.horizon_)
        return pd.concat(tables, ignore_index=True)

    def _table(self, panel: Panel, cutoffs: np.ndarray, columns: pd.Index) -> pd.DataFrame:
        library = self._library()
        found = library.locate(panel, cutoffs, self.k, self.temperature)
        view, variable, query, rank = np.nonzero(found.weight)
        order = np.lexsort((rank, view, variable, query))
        view, variable, query, rank = (part[order] for part in (view, variable, query, rank))
        at = view, variable, query, rank
        first = library.ordinals(found.windows[at])
        step, decode = panel.grid.step, library.panel.grid.decode
        asked = panel.starts[cutoffs[:, 0]] + cutoffs[:, 1] * step
        table = {"query": panel.labels[cutoffs[query, 0]], "cutoff": decode(asked[query])}
        if not self.joint:
            table["variable"] = pd.Index(variable_names(columns)).take(variable)
        return pd.DataFrame(
            {
                **table,
                "view": np.asarray(self.views)[view],
                "rank": rank,
                "series": library.panel.labels[library.series[found.windows[at]]],
                "start": decode(first - self.context_ * step),
                "end": decode(first),
                "weight": found.weight[at],
                "similarity": found.similarity[at],
                "future_start": decode(first),
                "future_end": decode(first + self.horizon_ * step),
            }
        )

    def _uses(self, name: str) -> bool:
        return self.base is not None and self.base._uses(name)

    def _asked_members(self) -> list[BaseForecaster]:
        return [] if self.base_ is None else [self.base_]

    def __sklearn_is_fitted__(self) -> bool:
        """Whether there are analogues and a weight for them."""
        return hasattr(self, "weight_")

    def _check_parameters(self) -> None:
        super()._check_parameters()
        check_whole(self, "context", auto=True)
        check_whole(self, "k")
        check_positive(self, "temperature")
        check_choice(self, "mix", (*_MIXES, None))
        check_choice(self, "align", _ALIGNMENTS)
        check_choice(self, "similarity", _SIMILARITIES)
        check_flag(self, "joint", "across")
        check_verbose(self)
        if self.scale != "auto":
            check_flag(self, "scale")
        if np.ndim(self.views) != 1 or not len(self.views):
            raise ValueError(f"views: found {self.views!r}. Give numbers of steps to average, such as (4, 2, 1).")
        for size in self.views:
            if not isinstance(size, Integral) or isinstance(size, bool) or size < 1:
                raise ValueError(f"views: found {size!r} among them. Give whole numbers of at least 1.")
        if self.base is not None and not isinstance(self.base, BaseForecaster):
            raise TypeError(f"base: found {self.base!r}. Give a forecaster of tsrec.")
        if self.base is not None and self.mix is None:
            raise ValueError(f"mix: found None beside a base, which would have no say. Give one of {_MIXES}.")
        if self.align == "future" and self.mix != "linear":
            raise ValueError(f"align: 'future' needs mix='linear', found {self.mix!r}. Use 'season' or 'last'.")

    def _fit_panel(self, panel: Panel) -> None:
        with np.errstate(invalid="ignore"):
            spread = np.sqrt(mean_of_seen(np.square(panel.values - mean_of_seen(panel.values, axis=0)), axis=0))
        self.unit_ = np.where(spread > 0, spread, 1.0)
        if self.context == "auto":
            wanted = choose_context(panel, self.season_, self.horizon_)
        else:
            wanted = int(self.context)
        self.context_ = min(wanted, max((int(panel.lengths.max()) - self.horizon_) // 2, 1))
        learn(self, panel)
        weigh(self, panel)

    def _remember(self, panel: Panel) -> None:
        super()._remember(panel)
        for member in (self.base_, self.own_):
            if member is not None:
                member._remember(panel)

    def _library(self) -> Library:
        several = len(self.library_.starts) > 1
        measure = Measure(
            self.similarity,
            tuple(self.views),
            self.joint,
            self.align == "season" and 1 < self.season_ <= self.context_ // 2,
            several if self.scale == "auto" else bool(self.scale),
            self.across,
        )
        size = self.context_, self.horizon_, self.season_
        return Library.of(self.library_, *size, self.unit_, measure)

    def _forecast(self, panel: Panel, cutoffs: np.ndarray) -> np.ndarray:
        turns = [cutoffs[at : at + _AT_ONCE] for at in range(0, len(cutoffs), _AT_ONCE)]
        with looking_up(self, cutoffs) as move:
            return np.concatenate([mixed(self, panel, turn, answer(self, panel, turn, move=move)) for turn in turns])
