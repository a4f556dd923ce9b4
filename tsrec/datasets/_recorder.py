"""A synthetic recorder: people who move in one of eight ways at a time, each with a sensor that sits differently."""

from math import inf
from numbers import Real

import numpy as np
import pandas as pd

from tsrec.datasets._recall import check_whole

# Frequency (Hz), radius of the pole per second and scale of the oscillators; their ranges overlap in no regime.
_STATES = {
    "slow_1": (0.35, 0.35, 0.30),
    "slow_2": (0.60, 0.30, 0.40),
    "slow_3": (0.90, 0.25, 0.35),
    "slow_4": (1.30, 0.25, 0.45),
    "fast_1": (2.20, 0.20, 1.20),
    "fast_2": (2.80, 0.20, 1.20),
    "fast_3": (3.80, 0.15, 1.00),
    "fast_4": (5.00, 0.15, 1.40),
}
# The recipe of the states themselves is the same for every seed, as what walking is does not depend on who is recorded.
_STATES_SEED = 20240601
_BOUT = (6.0, 60.0)
_UNLABELLED = 0.1


def make_recordings(
    n_subjects: int = 40,
    *,
    seconds: float = 600.0,
    rate: float = 50.0,
    n_channels: int = 3,
    noise: float = 0.05,
    random_state: int | np.random.Generator | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Labelled recordings of people, one each, who change between eight states.

    A state is two oscillators of one frequency, AR(2) processes driven by noise, seen by the channels in a mixture and
    about a level of its own. Four states are slow and weak, four are fast and strong. A bout of a state lasts 6 to 60 s
    (log-uniform), its frequency varies by 5 %, and one bout in ten is not labelled. Over it lie a random walk and white
    noise. Each subject has a gain, an offset and a rotation of the channels.

    Parameters
    ----------
    n_subjects : int, default 40
        People, with one recording each.
    seconds : float, default 600
        Length of a recording.
    rate : float, default 50
        Samples per second, 12 or more, so that every frequency can be told.
    n_channels : int, default 3
        Channels, 2 or more.
    noise : float, default 0.05
        Standard deviation of the white noise; the oscillators have 0.3 to 1.4.
    random_state : int, numpy Generator or None
        Seed of the draws. The same seed gives the same numbers.

    Returns
    -------
    recordings : DataFrame of shape (n_subjects * n_times, 3 + n_channels)
        Columns ``recording``, ``subject``, ``time`` (seconds from the start of the recording) and the channels ``x0``,
        ``x1`` and so on, float32. The rows of a recording stand together, in time.
    events : DataFrame
        Columns ``recording``, ``start``, ``end`` (seconds, end excluded) and ``label``.

    Raises
    ------
    ValueError
        If a number is out of range.

    See Also
    --------
    make_haystack : Questions about such recordings.

    Examples
    --------
    >>> from tsrec.datasets import make_recordings
    >>> recordings, events = make_recordings(3, seconds=60, rate=20, random_state=0)
    >>> recordings.shape, list(events.columns)
    ((3600, 6), ['recording', 'start', 'end', 'label'])
    """
    check_whole("n_subjects", n_subjects, 1)
    check_whole("n_channels", n_channels, 2)
    check_number("rate", rate, 12.0)
    check_number("seconds", seconds, 1.0)
    check_number("noise", noise, 0.0)
    rng = np.random.default_rng(random_state)
    states = _mixtures(n_channels)
    n_times = round(seconds * rate)
    width = len(str(n_subjects - 1))
    values: list[np.ndarray] = []
    events: list[tuple[str, float, float, str]] = []
    for number in range(n_subjects):
        x, rows = _recording(n_times, rate, noise, states, rng)
        values.append(x)
        events.extend((f"r{number:0{width}d}", *row) for row in rows)
    people = np.repeat(np.arange(n_subjects), n_times)
    frame = pd.DataFrame(np.concatenate(values), columns=[f"x{channel}" for channel in range(n_channels)])
    frame.insert(0, "time", np.tile(np.arange(n_times) / rate, n_subjects))
    for at, (name, letter) in enumerate((("recording", "r"), ("subject", "s"))):
        names = [f"{letter}{number:0{width}d}" for number in range(n_subjects)]
        frame.insert(at, name, pd.Categorical.from_codes(people, names))
    return frame, pd.DataFrame(events, columns=["recording", "start", "end", "label"])


def check_number(name: str, value: float, least: float) -> None:
    """Refuse what is not a finite number of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, Real) or not least <= value < inf:
        raise ValueError(f"{name}: got {value!r}. Pass a number, {least:g} or more.")


def _mixtures(n_channels: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """For each state how the channels see its two oscillators, (2, n_channels), and its level, (n_channels,)."""
    rng = np.random.default_rng(_STATES_SEED)
    mixtures = {}
    for label in _STATES:
        mixing = rng.normal(size=(2, n_channels))
        mixing /= np.sqrt((mixing**2).sum() / n_channels)
        level = rng.normal(size=n_channels)
        mixtures[label] = mixing, 0.5 * level / np.linalg.norm(level)
    return mixtures


def _recording(
    n_times: int, rate: float, noise: float, states: dict[str, tuple[np.ndarray, np.ndarray]], rng: np.random.Generator
) -> tuple[np.ndarray, list[tuple[float, float, str]]]:
    """One person: float32 (n_times, n_channels) and the labelled bouts (start, end, label)."""
    labels = list(states)
    n_channels = len(states[labels[0]][1])
    x = np.empty((n_times, n_channels))
    rows, start, label = [], 0, ""
    while start < n_times:
        label = str(rng.choice([other for other in labels if other != label]))
        length = round(rate * np.exp(rng.uniform(*np.log(_BOUT))))
        end = min(start + length, n_times)
        mixing, level = states[label]
        x[start:end] = _oscillators(label, end - start, rate, rng) @ mixing + level
        if rng.random() >= _UNLABELLED:
            rows.append((start / rate, end / rate, label))
        start = end
    x += np.cumsum(rng.normal(scale=0.05 / np.sqrt(rate), size=x.shape), axis=0)
    gain, offset = np.exp(rng.normal(scale=0.2)), rng.normal(scale=0.5, size=n_channels)
    # Orthogonal and not far from the identity, as a sensor that sits askew.
    rotation = np.linalg.qr(np.eye(n_channels) + 0.2 * rng.normal(size=(n_channels, n_channels)))
    turned = rotation.Q * np.sign(np.diag(rotation.R))
    x = gain * x @ turned + offset + rng.normal(scale=noise, size=x.shape)
    return x.astype(np.float32), rows


def _oscillators(label: str, length: int, rate: float, rng: np.random.Generator) -> np.ndarray:
    """Two AR(2) processes x[t] = 2 r cos(a) x[t-1] - r^2 x[t-2] + e[t], brought to the state's scale; (length, 2)."""
    frequency, decay, scale = _STATES[label]
    angle = 2 * np.pi * frequency * np.exp(rng.normal(scale=0.05)) / rate
    radius = decay ** (1 / rate)
    memory = int(np.ceil(np.log(1e-4) / np.log(radius)))
    k = np.arange(memory)
    # The answer to a single shock; a convolution with it is the recursion without a loop.
    response = radius**k * np.sin((k + 1) * angle) / np.sin(angle)
    response /= np.linalg.norm(response)
    shocks = rng.normal(size=(length + memory, 2))
    size = length + 2 * memory
    spectrum = np.fft.rfft(shocks, size, axis=0) * np.fft.rfft(response, size)[:, None]
    return scale * np.fft.irfft(spectrum, size, axis=0)[memory : memory + length]
