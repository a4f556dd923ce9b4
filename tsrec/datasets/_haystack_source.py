"""What a haystack is made of: recordings as arrays, their bouts, who belongs to which part, and the regimes."""

import hashlib
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

PARTS = ("train", "val", "test")
_SHORTEST_BOUT = 0.5
_KEYS = ("recording", "subject", "time")


class Bout(NamedTuple):
    """A stretch of a recording with one label; start and end in samples, the end excluded."""

    recording: str
    subject: str
    start: int
    end: int
    label: str

    @property
    def n_times(self) -> int:
        """Samples of it."""
        return self.end - self.start


class Source(NamedTuple):
    """Recordings by name, float32 (n_times, n_channels), and whose they are."""

    values: dict[str, np.ndarray]
    subjects: dict[str, str]
    rate: float
    channels: tuple[str, ...]


def digest(*parts: object) -> int:
    """64 bits that follow from these parts on every machine."""
    text = "\x1f".join(map(str, parts))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def read_source(recordings: pd.DataFrame) -> Source:
    """Take the long frame apart and refuse what has no common rate, or holes."""
    if not isinstance(recordings, pd.DataFrame) or not set(_KEYS) <= set(recordings.columns):
        found = list(recordings.columns) if isinstance(recordings, pd.DataFrame) else type(recordings).__name__
        raise ValueError(f"recordings: found {found}. Pass a frame with recording, subject, time and the channels.")
    channels = tuple(str(name) for name in recordings.columns if name not in _KEYS)
    if not channels:
        raise ValueError("recordings: there are no channels. Pass a numeric column for each, beside the time.")
    values = recordings[list(channels)].to_numpy(np.float32)
    if not np.isfinite(values).all():
        raise ValueError("recordings: there are missing or infinite values. Fill them, or cut the recordings there.")
    codes, names = pd.factorize(recordings["recording"])
    edges = np.flatnonzero(np.diff(codes, prepend=-1, append=-1))
    if len(edges) - 1 != len(names):
        raise ValueError("recordings: rows of a recording do not stand together. Sort by recording and time.")
    time, people = recordings["time"].to_numpy(float), recordings["subject"].to_numpy()
    rate = _common_rate(time, edges, names)
    whose = {str(name): str(people[start]) for name, start in zip(names, edges[:-1], strict=True)}
    parts = {str(name): values[a:b] for name, a, b in zip(names, edges[:-1], edges[1:], strict=True)}
    return Source(parts, whose, rate, channels)


def _common_rate(time: np.ndarray, edges: np.ndarray, names: Iterable[object]) -> float:
    """Samples per second, the same in all recordings and without gaps."""
    steps = np.diff(time)
    inside = np.full(len(steps), True)
    inside[edges[1:-1] - 1] = False
    step = float(np.median(steps[inside])) if inside.any() else np.nan
    if not step > 0:
        raise ValueError("recordings: time does not grow. Pass seconds, two rows or more for each recording.")
    for name, start, end in zip(names, edges[:-1], edges[1:], strict=True):
        off = np.abs(time[start:end] - time[start] - step * np.arange(end - start))
        if off.size and off.max() > 0.5 * step:
            raise ValueError(f"recordings: {name!r} has uneven steps. Resample all to one rate first.")
        if abs(time[start]) > 0.5 * step:
            raise ValueError(f"recordings: time of {name!r} begins at {time[start]:g}. Let each recording begin at 0.")
    return float(np.round(1 / step, 6))


def bout_index(source: Source, events: pd.DataFrame) -> list[Bout]:
    """Bouts of 0.5 s or more, touching ones of one label merged, by recording and start."""
    missing = {"recording", "start", "end", "label"} - set(getattr(events, "columns", ()))
    if missing:
        raise ValueError(f"events: {sorted(missing)} not found. Pass recording, start and end in seconds, and label.")
    bouts: list[Bout] = []
    rows = sorted(zip(*(events[name] for name in ("recording", "start", "end", "label")), strict=True), key=_place)
    for recording, begin, finish, label in rows:
        name = str(recording)
        if name not in source.values:
            raise ValueError(f"events: recording {name!r} is not among the recordings. Drop its rows.")
        start = max(round(begin * source.rate), 0)
        end = min(round(finish * source.rate), len(source.values[name]))
        last = bouts[-1] if bouts and bouts[-1].recording == name else None
        if last and start < last.end - 1:
            raise ValueError(f"events: {name!r} has two at once at {begin:g} s. Keep one label at a time.")
        start = max(start, last.end) if last else start
        if last and last.label == str(label) and start - last.end <= 1:
            bouts[-1] = last._replace(end=end)
        elif end > start:
            bouts.append(Bout(name, source.subjects[name], start, end, str(label)))
    return [bout for bout in bouts if bout.n_times >= _SHORTEST_BOUT * source.rate]


def _place(row: tuple[object, float, float, object]) -> tuple[str, float]:
    return str(row[0]), row[1]


def split_subjects(source: Source, seed: int) -> dict[str, frozenset[str]]:
    """Subjects of each part: in the order of their hashes, the first 70 % learn, 15 % validate, 15 % test."""
    people = sorted(set(source.subjects.values()), key=lambda name: (digest(seed, name), name))
    if len(people) < 6:
        raise ValueError(f"recordings: got {len(people)} subjects. Pass 6 or more, two for each part.")
    held = max(2, int(0.15 * len(people) + 0.5))
    train = len(people) - 2 * held
    cuts = (people[:train], people[train : train + held], people[train + held :])
    return {part: frozenset(names) for part, names in zip(PARTS, cuts, strict=True)}


def bout_features(source: Source, bouts: list[Bout]) -> np.ndarray:
    """Mean over channels of the log-variance, and centre of gravity of the spectrum in Hz; (n_bouts, 2)."""
    rows = np.empty((len(bouts), 2))
    for row, bout in zip(rows, bouts, strict=True):
        x = source.values[bout.recording][bout.start : bout.end].astype(float)
        x -= x.mean(axis=0)
        variance = (x**2).mean(axis=0) + 1e-12
        power = (np.abs(np.fft.rfft(x, axis=0)) ** 2 / variance).sum(axis=1)
        frequency = np.fft.rfftfreq(len(x), 1 / source.rate)
        row[:] = np.log(variance).mean(), (power * frequency).sum() / max(power.sum(), 1e-12)
    return rows


def find_regimes(source: Source, bouts: list[Bout], given: Mapping[str, str] | None) -> dict[str, str]:
    """Regime of each label, the quietest first: as given, or that of two clusters in which most of its bouts are."""
    labels = sorted({bout.label for bout in bouts})
    features = bout_features(source, bouts)
    owner = np.array([labels.index(bout.label) for bout in bouts])
    if given is None:
        high = two_means(features)
        named = {label: "high" if high[owner == i].mean() >= 0.5 else "low" for i, label in enumerate(labels)}
    else:
        absent = [label for label in labels if label not in given]
        if absent:
            raise ValueError(f"regimes: {absent} have none. Name a regime for each label.")
        named = {label: str(given[label]) for label in labels}
    loudness = {label: float(features[owner == i, 0].mean()) for i, label in enumerate(labels)}
    members: dict[str, list[float]] = {}
    for label, regime in named.items():
        members.setdefault(regime, []).append(loudness[label])
    if len(members) < 2:
        raise ValueError("regimes: all labels are in one. Pass a map from label to regime, with two or more of them.")
    quiet = sorted(members, key=lambda regime: (np.mean(members[regime]), regime))
    return dict(sorted(named.items(), key=lambda pair: (quiet.index(pair[1]), pair[0])))


def two_means(features: np.ndarray) -> np.ndarray:
    """k-means of standardised features with k = 2; True where the cluster is the one with the larger first feature."""
    z = (features - features.mean(axis=0)) / (features.std(axis=0) + 1e-12)
    order = np.argsort(z.sum(axis=1), kind="stable")
    centres = z[order[[0, -1]]]
    high = np.zeros(len(z), dtype=bool)
    for _ in range(100):
        distance = ((z[:, None] - centres) ** 2).sum(axis=-1)
        now = distance[:, 1] < distance[:, 0]
        if (now == high).all():
            break
        high = now
        if high.all() or not high.any():
            break
        centres = np.stack([z[~high].mean(axis=0), z[high].mean(axis=0)])
    return high if centres[1, 0] >= centres[0, 0] else ~high
