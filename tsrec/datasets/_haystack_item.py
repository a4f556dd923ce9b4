"""An item of a haystack: a background, what was inserted into it, and the question; rendered when asked."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from tsrec.datasets._haystack_background import Background, Span, Stretch
from tsrec.datasets._haystack_source import Source, read_source

# Seconds on either side of an insertion that, with what it replaces, say what is usual there.
_AROUND = 2.5
_RIDGE = 1e-6

Answer = bool | int | str | list[float] | None


class Edit(NamedTuple):
    """An insertion, in samples: a piece of a recording, where it goes, its label and its part in the item.

    `role` is "needle", "distractor" or "sham". `gain` is what the deviations from the mean are multiplied by, after
    they were brought to those of the surroundings if `matched`.
    """

    recording: str
    subject: str
    start: int
    n_times: int
    position: int
    label: str
    role: str
    gain: float
    matched: bool


@dataclass(frozen=True)
class HaystackItem:
    """A recording of a given length made by insertions into a background, and a question about it.

    Attributes
    ----------
    task : str
        One of `HAYSTACK_TASKS`.
    split : str
        "train", "val" or "test"; a subject belongs to one only.
    index : int
        Number within the split.
    seed : int
        From which all draws of the item follow, a hash of the seed, the task, the context, the split and the number.
    rate : float
        Samples per second.
    n_times : int
        Samples.
    background : Background
        Stretches of recordings in a row, and how they are labelled.
    edits : tuple of Edit
        Insertions, in time.
    transfer : tuple of (str, float)
        How an insertion is brought to its surroundings, and by how much.
    question : dict
        What is asked: ``task``, ``answer`` ("bool", "int", "label" or "interval"), ``context`` in seconds, and the
        labels and numbers of the task.
    answer : bool, int, str, list of two floats, or None
        What is true; an interval is [start, end] in seconds, end excluded, and None says that there is none.
    """

    task: str
    split: str
    index: int
    seed: int
    rate: float
    n_times: int
    background: Background
    edits: tuple[Edit, ...]
    transfer: tuple[str, float]
    question: dict[str, Any]
    answer: Answer
    _source: Source = field(repr=False, compare=False)

    @property
    def context(self) -> float:
        """Length in seconds."""
        return self.n_times / self.rate

    @property
    def truth(self) -> pd.DataFrame:
        """All that happens, background and insertions: a frame with start, end (seconds, end excluded) and label."""
        spans = paint(self.background.timeline, self.edits)
        rows = [(span.start / self.rate, span.end / self.rate, span.label) for span in spans]
        return pd.DataFrame(rows, columns=["start", "end", "label"])

    def render(self) -> np.ndarray:
        """Compute the recording.

        Returns
        -------
        x : float32 array of shape (n_times, n_channels)
            Steps of 1 / rate seconds, channels in the order of the recordings.
        """
        x = self._background()
        around = round(_AROUND * self.rate)
        surroundings = [x[max(e.position - around, 0) : e.position + e.n_times + around].copy() for e in self.edits]
        for edit, local in zip(self.edits, surroundings, strict=True):
            piece = self._source.values[edit.recording][edit.start : edit.start + edit.n_times].astype(float)
            piece = TRANSFERS[self.transfer[0]](piece, local, self.transfer[1])
            mean = piece.mean(axis=0)
            scale = local.std(axis=0) / (piece.std(axis=0) + 1e-12) if edit.matched else 1.0
            piece = mean + edit.gain * scale * (piece - mean)
            weight = _window(edit.n_times, int(min(0.5 * self.rate, edit.n_times / 4)))
            place = slice(edit.position, edit.position + edit.n_times)
            x[place] += weight * (piece - x[place])
        return x.astype(np.float32)

    def to_json(self) -> str:
        """Write all but the arrays.

        Returns
        -------
        text : str
            A JSON object; `from_json` reads it beside the same recordings.
        """
        names = [name for name in self.__dataclass_fields__ if name != "_source"]
        return json.dumps({name: _plain(getattr(self, name)) for name in names})

    @classmethod
    def from_json(cls, text: str, recordings: pd.DataFrame) -> "HaystackItem":
        """Read an item.

        Parameters
        ----------
        text : str
            What `to_json` wrote.
        recordings : DataFrame
            The recordings it was made of.

        Returns
        -------
        item : HaystackItem
            Equal to the one that was written.
        """
        stored = json.loads(text)
        back = stored["background"]
        stored["background"] = Background(
            tuple(Stretch(**one) for one in back["stretches"]),
            back["fade"],
            tuple(Span(**one) for one in back["timeline"]),
        )
        stored["edits"] = tuple(Edit(**one) for one in stored["edits"])
        stored["transfer"] = tuple(stored["transfer"])
        return cls(**stored, _source=read_source(recordings))

    def _background(self) -> np.ndarray:
        """Stretches one after another, float64; those of one state are brought to the first of it."""
        fade, positions = self.background.fade, self.background.positions()
        first = self._source.values[self.background.stretches[0].recording]
        x = np.empty((self.n_times, first.shape[1]))
        rise = _rise(fade)[:, None]
        usual: np.ndarray | None = None
        state: str | None = None
        for stretch, at in zip(self.background.stretches, positions, strict=False):
            piece = self._source.values[stretch.recording][stretch.start : stretch.start + stretch.n_times].astype(
                float
            )
            if usual is not None and stretch.label == state and self.transfer[0] != "none":
                move = TRANSFERS["rotate" if self.transfer[0] == "rotate" else "mean"]
                piece = move(piece, usual, 1.0)
            else:
                usual, state = piece, stretch.label
            if at:
                piece[:fade] = rise * piece[:fade] + (1 - rise) * x[at : at + fade]
            x[at : at + len(piece)] = piece
        return x


def paint(timeline: tuple[Span, ...], edits: tuple[Edit, ...]) -> list[Span]:
    """Labels as they are after the insertions; touching spans of one label are one."""
    spans = [*timeline]
    for edit in edits:
        start, end = edit.position, edit.position + edit.n_times
        left = [span._replace(end=min(span.end, start)) for span in spans]
        right = [span._replace(start=max(span.start, end)) for span in spans]
        spans = [span for span in (*left, *right) if span.end > span.start] + [Span(start, end, edit.label)]
    merged: list[Span] = []
    for span in sorted(spans):
        if merged and merged[-1].label == span.label and merged[-1].end == span.start:
            merged[-1] = merged[-1]._replace(end=span.end)
        else:
            merged.append(span)
    return merged


def _plain(value: Any) -> Any:
    """Records as objects, so that names stand beside the numbers."""
    if hasattr(value, "_asdict"):
        return {name: _plain(one) for name, one in value._asdict().items()}
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    return value


def _rise(n_times: int) -> np.ndarray:
    """Half a cosine from 0 to 1, (n_times,)."""
    return (1 - np.cos(np.pi * (np.arange(n_times) + 0.5) / max(n_times, 1))) / 2


def _window(n_times: int, fade: int) -> np.ndarray:
    weight = np.ones((n_times, 1))
    weight[:fade, 0] = _rise(fade)
    weight[n_times - fade :, 0] = _rise(fade)[::-1]
    return weight


def _none(x: np.ndarray, local: np.ndarray, amount: float) -> np.ndarray:
    del local, amount
    return x


def _mean(x: np.ndarray, local: np.ndarray, amount: float) -> np.ndarray:
    return x + amount * (local.mean(axis=0) - x.mean(axis=0))


def _rotate(x: np.ndarray, local: np.ndarray, amount: float) -> np.ndarray:
    """Turn every three axes as the mean of the first three must be turned to point as it does around."""
    del amount
    a, b = (v / (np.linalg.norm(v) + 1e-12) for v in (x[:, :3].mean(axis=0), local[:, :3].mean(axis=0)))
    cosine = float(a @ b)
    if cosine < -1 + 1e-9:
        side = np.cross(a, np.eye(3)[np.argmin(np.abs(a))])
        side /= np.linalg.norm(side)
        turn = 2 * np.outer(side, side) - np.eye(3)
    else:
        v = np.cross(a, b)
        skew = np.array([[0, -v[2], v[1]], [v[2], 0, -v[0]], [-v[1], v[0], 0]])
        turn = np.eye(3) + skew + skew @ skew / (1 + cosine)
    return (x.reshape(len(x), -1, 3) @ turn.T).reshape(x.shape)


def _whiten(x: np.ndarray, local: np.ndarray, amount: float) -> np.ndarray:
    """Blend a shift of the mean with a full change of covariance, x' = m_t + L_t L_n^-1 (x - m_n)."""
    factors = []
    for part in (x, local):
        centred = part - part.mean(axis=0)
        factors.append(np.linalg.cholesky(centred.T @ centred / len(part) + _RIDGE * np.eye(x.shape[1])))
    centred = x - x.mean(axis=0)
    full = centred @ (factors[1] @ np.linalg.inv(factors[0])).T
    return local.mean(axis=0) + amount * full + (1 - amount) * centred


TRANSFERS: dict[str, Callable[[np.ndarray, np.ndarray, float], np.ndarray]] = {
    "none": _none,
    "mean": _mean,
    "rotate": _rotate,
    "whiten": _whiten,
}
