"""How losses fell in training."""

import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tsrec.plotting._style import BLACK, COLORS, LEGEND, RULE, plain, single_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


class LossDisplay:
    """Losses by epoch: a line for each term, or for each phase and member of a forecaster's training.

    Parameters
    ----------
    history : DataFrame
        ``history_`` of a fitted estimator. One phase of one network is shown with the terms of its loss, several with
        the whole of each: all members of a phase in one colour. What was held out is dashed.
    n_epochs : int, optional
        The number of epochs that counts, marked by a line; ``n_epochs_`` of a forecaster.

    Attributes
    ----------
    ax_ : Axes
        What was drawn on. Set by `plot`.
    figure_ : Figure
        The figure. Set by `plot`.

    See Also
    --------
    LossDisplay.from_estimator : Plot the history of an estimator.

    Examples
    --------
    >>> import pandas as pd
    >>> from tsrec.plotting import LossDisplay
    >>> history = pd.DataFrame({"epoch": [1, 2], "loss": [3.0, 2.0], "masked_loss": [2.0, 1.5], "queries_loss": 0.5})
    >>> [line.get_label() for line in LossDisplay(history).plot().ax_.lines]
    ['all', 'masked', 'queries']
    """

    ax_: "Axes"
    figure_: "Figure"

    def __init__(self, history: pd.DataFrame, *, n_epochs: int | None = None) -> None:
        self.history = history
        self.n_epochs = n_epochs

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: Any = None) -> "LossDisplay":
        """Plot the history of an estimator.

        Parameters
        ----------
        estimator : fitted estimator
            With ``history_``, or with ``members_`` that have one, as `AutoForecaster`.
        ax : Axes, optional
            What to draw on; a new figure when omitted.

        Returns
        -------
        LossDisplay
            Plotted.

        Raises
        ------
        ValueError
            If it was not trained by epochs, or for none.
        ImportError
            If matplotlib is not installed.
        """
        history = _history_of(estimator)
        if history is None:
            raise ValueError(f"estimator: {type(estimator).__name__} has no history_. Fit one that trains by epochs.")
        _check_trained(history, "estimator")
        counts = getattr(estimator, "n_epochs_", None) if "phase" in history else None
        return cls(history, n_epochs=counts).plot(ax=ax)

    def plot(self, *, ax: Any = None) -> "LossDisplay":
        """Draw.

        Parameters
        ----------
        ax : Axes, optional
            What to draw on; a new figure when omitted.

        Returns
        -------
        LossDisplay
            With `ax_` and `figure_` set.

        Raises
        ------
        ValueError
            If there is no epoch in the history.
        ImportError
            If matplotlib is not installed.
        """
        _check_trained(self.history, "history")
        self.figure_, self.ax_ = single_axes(ax, "LossDisplay", (6.5, 4.0))
        phases = self.history["phase"].unique() if "phase" in self.history else []
        drawn = _draw_phases(self.ax_, self.history) if len(phases) > 1 else _draw_terms(self.ax_, self.history)
        if self.n_epochs is not None and 0 < self.n_epochs < self.history["epoch"].max():
            self.ax_.axvline(
                self.n_epochs, color=RULE, linewidth=1.2, zorder=0.5, label=f"{self.n_epochs} epochs chosen"
            )
        if all((values > 0).all() for values in drawn):
            _logarithmic(self.ax_, np.concatenate(drawn))
        _number_epochs(self.ax_)
        self.ax_.set_ylabel("loss", fontsize="small", color=BLACK)
        _legend(self.ax_, is_new=ax is None)
        plain(self.ax_)
        return self


def _history_of(estimator: Any) -> pd.DataFrame | None:
    """Its history, or those of its members under their names; None if neither it nor they have one."""
    if hasattr(estimator, "history_"):
        return estimator.history_
    members = getattr(estimator, "members_", None)
    if not isinstance(members, dict):
        return None
    every = {name: _history_of(member) for name, member in members.items()}
    found = {name: history for name, history in every.items() if history is not None}
    parts = [
        history.assign(phase=[f"{name}: {phase}" for phase in history.get("phase", [""] * len(history))])
        for name, history in found.items()
        if len(history)
    ]
    if not parts:
        return pd.DataFrame() if found else None
    return pd.concat(parts, ignore_index=True)


def _check_trained(history: pd.DataFrame, where: str) -> None:
    if not len(history):
        raise ValueError(
            f"{where}: no epoch was trained, as max_epochs is 0, or there were too few rows to train a branch beside "
            "the linear map. Fit with more epochs, or with more rows; of a forecaster with a linear map, linear=None "
            "trains the network alone."
        )


def _draw_terms(ax: Any, history: pd.DataFrame) -> list[np.ndarray]:
    """The loss, its terms, and what was held out; the values drawn."""
    terms = [name for name in history.columns if name.endswith("_loss") and name != "validation_loss"]
    drawn = []
    for number, name in enumerate(["loss", *terms]):
        label = "all" if name == "loss" else name.removesuffix("_loss").replace("_", " ")
        style = {"color": BLACK, "linewidth": 1.6} if name == "loss" else {"color": COLORS[(number - 1) % len(COLORS)]}
        drawn.append(_line(ax, history, name, label=label, **({"linewidth": 1.1} | style)))
    held_out = _line(ax, history, "validation_loss", label="held out", color=BLACK, linewidth=1.3, linestyle="--")
    return [values for values in (*drawn, held_out) if len(values)]


def _draw_phases(ax: Any, history: pd.DataFrame) -> list[np.ndarray]:
    """The loss of every phase, members in one colour, and what was held out; the values drawn."""
    kinds: dict[str, list[pd.DataFrame]] = {}
    for phase, rows in history.groupby("phase", sort=False):
        kinds.setdefault(re.sub(r" \d+$", "", str(phase)), []).append(rows)
    drawn = []
    for number, (kind, members) in enumerate(kinds.items()):
        count = f" ({len(members)} members)" if len(members) > 1 else ""
        for place, rows in enumerate(members):
            style = {"color": COLORS[number % len(COLORS)], "linewidth": 1.6 if place == 0 else 0.9}
            label, held_out = (f"{kind}{count}", f"{kind}, held out") if place == 0 else (None, None)
            drawn.append(_line(ax, rows, "loss", label=label, **style))
            drawn.append(_line(ax, rows, "validation_loss", label=held_out, linestyle="--", **style))
    return [values for values in drawn if len(values)]


def _line(ax: Any, rows: pd.DataFrame, name: str, *, label: str | None, **style: Any) -> np.ndarray:
    """Draw a column, if there is anything in it."""
    values = rows[name].to_numpy(dtype=np.float64) if name in rows else np.array([])
    seen = ~np.isnan(values)
    if not seen.any():
        return values[:0]
    ax.plot(rows["epoch"].to_numpy()[seen], values[seen], label=label, marker="o", markersize=2.5, **style)
    return values[seen]


def _logarithmic(ax: Any, values: np.ndarray) -> None:
    """A logarithmic axis with plain numbers; those between the powers of ten where there are few powers."""
    from matplotlib import ticker

    ax.set_yscale("log")
    number = ticker.StrMethodFormatter("{x:g}")
    ax.yaxis.set_major_formatter(number)
    ax.yaxis.set_minor_formatter(number if values.max() < 12 * values.min() else ticker.NullFormatter())


def _number_epochs(ax: Any) -> None:
    from matplotlib import ticker

    ax.xaxis.set_major_locator(ticker.MaxNLocator(integer=True))
    ax.set_xlabel("epoch", fontsize="small", color=BLACK)


def _legend(ax: Any, *, is_new: bool) -> None:
    """Beside the axes of a new figure, inside those that were given."""
    handles, labels = ax.get_legend_handles_labels()
    if is_new:
        ax.legend(handles, labels, loc="upper left", bbox_to_anchor=(1.0, 1.0), **LEGEND)
    else:
        ax.legend(handles, labels, **LEGEND)
