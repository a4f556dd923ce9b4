"""Where on the scalp the queries of an encoder look."""

from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_is_fitted

from tsrec.frames import electrode_positions
from tsrec.plotting._style import BLACK, encoder_of, pyplot

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Polar angle of the circle that stands for the head, degrees from the vertex: that of Fpz, T7, Oz and T8.
_RIM = 92.0
_GRID = 80


class AttentionDisplay:
    """Attention of each query over the electrodes, seen from above, the nose up.

    Parameters
    ----------
    attention : DataFrame
        What ``LuMambaEncoder.get_attention`` gave.
    recording : label, optional
        Which recording to show; the mean over all that have the channels of the first, when omitted.
    positions : dict, optional
        Name to (x, y, z) on the unit sphere, for channels that the built-in table lacks.

    Attributes
    ----------
    axes_ : array of Axes of shape (n_queries,)
        What was drawn on. Set by `plot`.
    figure_ : Figure
        The figure. Set by `plot`.

    See Also
    --------
    AttentionDisplay.from_estimator : Ask an encoder, and plot.

    Examples
    --------
    >>> import numpy as np
    >>> from tsrec import LuMambaEncoder
    >>> from tsrec.frames import recording
    >>> from tsrec.plotting import AttentionDisplay
    >>> noise = np.random.default_rng(0).normal(size=(5, 256))
    >>> X = [recording(noise, ["Fz", "C3", "Cz", "C4", "Pz"], 256)]
    >>> encoder = LuMambaEncoder(width=16, n_queries=2, n_layers=1, max_epochs=0, random_state=0).fit(X)
    >>> len(AttentionDisplay.from_estimator(encoder, X).axes_)
    2
    """

    axes_: np.ndarray
    figure_: "Figure"

    def __init__(self, attention: pd.DataFrame, *, recording: Hashable = None, positions: Any = None) -> None:
        self.attention = attention
        self.recording = recording
        self.positions = positions

    @classmethod
    def from_estimator(cls, encoder: Any, X: Any, *, recording: Hashable = None) -> "AttentionDisplay":
        """Ask an encoder for its attention, and plot.

        Parameters
        ----------
        encoder : fitted LuMambaEncoder or LuMambaClassifier
            Asked; its `positions` count.
        X : list or dict of frames, panel, or array
            Recordings.
        recording : label, optional
            As in the constructor.

        Returns
        -------
        AttentionDisplay
            Plotted.

        Raises
        ------
        ValueError
            If a channel has no place on the scalp, or there is no such recording.
        ImportError
            If matplotlib is not installed.
        """
        encoder = encoder_of(encoder)
        check_is_fitted(encoder)
        positions = encoder.positions_ if encoder.on_scalp_ else "none"
        return cls(encoder.get_attention(X), recording=recording, positions=positions).plot()

    def plot(self) -> "AttentionDisplay":
        """Draw a head for each query on a new figure.

        Returns
        -------
        AttentionDisplay
            With `axes_` and `figure_` set.

        Raises
        ------
        TypeError
            If the attention is no frame with index (recording, time, query).
        ValueError
            If a channel has no place on the scalp, or there is no such recording.
        ImportError
            If matplotlib is not installed.
        """
        weights = self._weights()
        if isinstance(self.positions, str):
            raise ValueError(
                "positions: the channels are on no scalp, so there is nothing to draw them on. Give frames whose "
                "columns are names of electrodes, or the encoder ch_names=, and leave out positions='none'. The "
                "weights are encoder.get_attention(X)."
            )
        points = on_a_disc(electrode_positions(list(weights.columns), self.positions))
        count = len(weights)
        columns = min(count, 6)
        rows = -(-count // columns)
        self.figure_, axes = pyplot("AttentionDisplay").subplots(
            rows, columns, figsize=(2.2 * columns, 2.5 * rows), squeeze=False, layout="constrained"
        )
        top = float(weights.to_numpy().max())
        for number, (ax, (_, row)) in enumerate(zip(axes.flat, weights.iterrows(), strict=False)):
            image = _draw_head(ax, points, row.to_numpy(), top, f"query {number}")
        for ax in axes.flat[count:]:
            ax.set_visible(False)
        bar = self.figure_.colorbar(image, ax=axes, shrink=0.7, fraction=0.03)
        bar.set_label("attention", fontsize="small")
        bar.ax.tick_params(labelsize="small")
        self.axes_ = axes.flat[:count]
        return self

    def _weights(self) -> pd.DataFrame:
        """Mean attention by query, for channels that are there."""
        table = self.attention
        if not isinstance(table, pd.DataFrame) or table.index.nlevels < 3:
            raise TypeError(
                f"attention: found {type(table).__name__}. Give the frame with index (recording, time, query) that "
                "get_attention returns."
            )
        names = table.index.droplevel([-2, -1])
        if self.recording is not None:
            chosen = np.array([name == self.recording for name in names])
            if not chosen.any():
                raise ValueError(f"recording: {self.recording!r} is none of {names.unique().tolist()}.")
        else:
            absent = table.isna().to_numpy()
            chosen = (absent == absent[0]).all(1)
        kept = table[chosen].dropna(axis=1, how="all")
        return kept.groupby(level=-1).mean()


def on_a_disc(points: Any) -> np.ndarray:
    """Project places on the unit sphere: distances from the vertex along the scalp are kept, 1 is the rim of the head.

    Parameters
    ----------
    points : array of shape (n, 3)
        x to the right, y to the nose, z up.

    Returns
    -------
    array of shape (n, 2)

    Examples
    --------
    >>> on_a_disc([[0, 0, 1], [1, 0, 0]]).round(3).tolist()
    [[0.0, 0.0], [0.978, 0.0]]
    """
    x, y, z = np.asarray(points, dtype=np.float64).T
    flat = np.hypot(x, y)
    distance = np.degrees(np.arctan2(flat, z)) / _RIM
    share = np.divide(distance, flat, out=np.zeros_like(flat), where=flat > 1e-12)
    return np.stack([x * share, y * share], 1)


def _draw_head(ax: Any, points: np.ndarray, weights: np.ndarray, top: float, title: str) -> Any:
    from matplotlib.patches import Circle

    line = np.linspace(-1, 1, _GRID)
    grid = np.stack(np.meshgrid(line, line), -1).reshape(-1, 2)
    field = _between(points, weights, grid).reshape(_GRID, _GRID)
    field[np.hypot(*grid.T).reshape(_GRID, _GRID) > 1] = np.nan
    image = ax.imshow(field, extent=(-1, 1, -1, 1), origin="lower", cmap="Blues", vmin=0, vmax=top)
    ax.add_patch(Circle((0, 0), 1, fill=False, color=BLACK, linewidth=1))
    ax.plot([-0.1, 0, 0.1], [0.99, 1.12, 0.99], color=BLACK, linewidth=1)
    ax.scatter(*points.T, s=5, color=BLACK)
    ax.set_title(title, fontsize="small", color=BLACK)
    ax.set_xlim(-1.3, 1.3)
    ax.set_ylim(-1.3, 1.3)
    ax.set_aspect("equal")
    ax.axis("off")
    return image


def _between(points: np.ndarray, weights: np.ndarray, grid: np.ndarray) -> np.ndarray:
    """Values between electrodes: means weighted by the inverse square of the distance, which never overshoot."""
    square = ((grid[:, None] - points) ** 2).sum(-1) + 1e-3
    share = 1 / square**1.5
    return share @ weights / share.sum(1)


def labels_of(y: Sequence[Any] | None, n: int) -> np.ndarray | None:
    """Labels as text, one for each row.

    Examples
    --------
    >>> labels_of([1, 2], 2).tolist()
    ['1', '2']
    """
    if y is None:
        return None
    found = np.array([str(label) for label in np.asarray(y)])
    if len(found) != n:
        raise ValueError(f"y: found {len(found)} labels for {n} embeddings. Give one for each.")
    return found
