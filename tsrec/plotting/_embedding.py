"""Embeddings in the plane."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tsrec.plotting._scalp import labels_of
from tsrec.plotting._style import BLACK, BLUE, encoder_of, plain, single_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MOST_CLASSES = 10


class EmbeddingDisplay:
    """Embeddings along their first two principal components, a dot each.

    Parameters
    ----------
    embeddings : array or DataFrame of shape (n, n_features)
        What an encoder's ``transform`` gave.
    y : array-like of shape (n,), optional
        Classes, which become colours; at most ten.

    Attributes
    ----------
    ax_ : Axes
        What was drawn on. Set by `plot`.
    figure_ : Figure
        The figure. Set by `plot`.

    See Also
    --------
    EmbeddingDisplay.from_estimator : Embed, and plot.

    Examples
    --------
    >>> import numpy as np
    >>> from tsrec.plotting import EmbeddingDisplay
    >>> rows = np.random.default_rng(0).normal(size=(20, 6))
    >>> EmbeddingDisplay(rows, ["a", "b"] * 10).plot().ax_.get_xlabel()[:11]
    'component 1'
    """

    ax_: "Axes"
    figure_: "Figure"

    def __init__(self, embeddings: Any, y: Any = None) -> None:
        self.embeddings = embeddings
        self.y = y

    @classmethod
    def from_estimator(cls, encoder: Any, X: Any, y: Any = None, *, ax: Any = None) -> "EmbeddingDisplay":
        """Embed series or recordings, and plot.

        Parameters
        ----------
        encoder : fitted encoder
            Any with ``transform``, or a classifier that holds one as ``encoder_``.
        X : collection
            What it takes.
        y : array-like, optional
            As in the constructor.
        ax : Axes, optional
            What to draw on; a new figure when omitted.

        Returns
        -------
        EmbeddingDisplay
            Plotted.

        Raises
        ------
        ValueError
            If there are not as many labels as embeddings, or too many classes.
        ImportError
            If matplotlib is not installed.
        """
        return cls(encoder_of(encoder).transform(X), y).plot(ax=ax)

    def plot(self, *, ax: Any = None) -> "EmbeddingDisplay":
        """Draw.

        Parameters
        ----------
        ax : Axes, optional
            What to draw on; a new figure when omitted.

        Returns
        -------
        EmbeddingDisplay
            With `ax_` and `figure_` set.

        Raises
        ------
        ValueError
            If there are not as many labels as embeddings, or too many classes.
        ImportError
            If matplotlib is not installed.
        """
        rows = np.asarray(self.embeddings, dtype=np.float64)
        labels = labels_of(_in_order(self.y, self.embeddings), len(rows))
        classes = np.array([]) if labels is None else np.unique(labels)
        if len(classes) > _MOST_CLASSES:
            raise ValueError(f"y: found {len(classes)} classes. Give at most {_MOST_CLASSES}, which colours can tell.")
        self.figure_, self.ax_ = single_axes(ax, "EmbeddingDisplay", (5.5, 4.5))
        places, shares = _principal(rows)
        if labels is None:
            self.ax_.scatter(places[:, 0], places[:, 1], s=14, color=BLUE, alpha=0.7)
        for number, name in enumerate(classes):
            chosen = places[labels == name]
            self.ax_.scatter(chosen[:, 0], chosen[:, 1], s=14, color=f"C{number}", alpha=0.7, label=name)
        if len(classes):
            self.ax_.legend(frameon=False, fontsize="small")
        names = [f"component {axis + 1} ({share:.0%} of the variance)" for axis, share in enumerate(shares)]
        self.ax_.set_xlabel(names[0], fontsize="small", color=BLACK)
        self.ax_.set_ylabel(names[1], fontsize="small", color=BLACK)
        plain(self.ax_)
        return self


def _in_order(y: Any, embeddings: Any) -> Any:
    """Labels in the order of the embeddings, where both name the same rows."""
    if not isinstance(y, pd.Series) or not isinstance(embeddings, pd.DataFrame) or y.index.equals(embeddings.index):
        return y
    same = y.index.is_unique and len(y) == len(embeddings) and embeddings.index.isin(y.index).all()
    return y.loc[embeddings.index] if same else y


def _principal(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows along their first two principal components, and the shares of the variance."""
    centred = rows - rows.mean(0)
    u, s, _ = np.linalg.svd(centred, full_matrices=False)
    places, shares = np.zeros((len(rows), 2)), np.zeros(2)
    count = min(2, len(s))
    places[:, :count] = u[:, :count] * s[:count]
    shares[:count] = s[:count] ** 2 / max((s**2).sum(), 1e-300)
    return places, shares
