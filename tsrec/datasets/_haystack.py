"""Questions about long recordings, made of labelled ones: needles in haystacks of any length."""

from collections.abc import Mapping
from math import inf
from numbers import Integral
from typing import NamedTuple

import numpy as np
import pandas as pd

from tsrec.datasets._haystack_background import Pool
from tsrec.datasets._haystack_item import TRANSFERS, HaystackItem
from tsrec.datasets._haystack_maker import Maker
from tsrec.datasets._haystack_source import PARTS, Source, bout_index, find_regimes, read_source, split_subjects
from tsrec.datasets._haystack_tasks import HAYSTACK_TASKS, TASKS
from tsrec.datasets._recall import check_whole
from tsrec.datasets._recorder import check_number

_SHORTEST_NEEDLE = 0.5


class Haystack(NamedTuple):
    """Items to learn from, to validate with and to test on; no subject is in two of them.

    Attributes
    ----------
    train, val, test : list of HaystackItem
        Items of one task and one context.
    """

    train: list[HaystackItem]
    val: list[HaystackItem]
    test: list[HaystackItem]


def make_haystack(
    recordings: pd.DataFrame,
    events: pd.DataFrame,
    *,
    task: str,
    context: float,
    n_train: int = 1000,
    n_val: int = 150,
    n_test: int = 150,
    sweep: str = "seconds",
    needle: float | tuple[float, float] = 5.0,
    background: str | None = None,
    transfer: str | tuple[str, float] = "mean",
    level: str | None = None,
    gain: float = 1.0,
    cross_subject: bool = True,
    shams: bool = True,
    regimes: Mapping[str, str] | None = None,
    random_state: int | np.random.Generator | None = 0,
) -> Haystack:
    """Make items of one task: long recordings with inserted bouts, and a question with its true answer.

    Parameters
    ----------
    recordings : DataFrame
        Columns recording, subject, time (seconds from the start of the recording, in even steps, one rate for all), and
        a numeric column for each channel. The rows of a recording stand together.
    events : DataFrame
        Columns recording, start, end (seconds, end excluded) and label. Touching ones of a label are merged, those
        below 0.5 s dropped.
    task : str
        One of `HAYSTACK_TASKS`; see Notes.
    context : float
        Length of an item in seconds.
    n_train, n_val, n_test : int, default 1000, 150, 150
        Items of each part. Subjects are divided 70/15/15 in the order of a hash of seed and subject, two or more for
        each part.
    sweep : {"seconds", "ratio"}, default "seconds"
        Whether needles have a length in seconds, or a share of the context (2 to 10 %, by task).
    needle : float or (float, float), default 5.0
        Length of all insertions in seconds, or a range to draw it from. A number is 0.5 to 2 times itself in
        comparisons. Not read by ``sweep="ratio"``.
    background : {"pure", "mixed", "any"}, optional
        One label all along; two to five states; either, or half of the time a piece of a recording that is labelled for
        60 % or more. What is usual for the task when omitted. For state_query it is mixed, for antecedent and the
        anomalies pure, whatever is given.
    transfer : {"none", "mean", "rotate", "whiten"}, default "mean"
        How an insertion is brought to what is around it: left alone; its mean shifted; every three channels turned as
        the mean of the first three must be; its covariance changed too. ``("whiten", a)`` blends that with the shift, a
        in [0, 1].
    level : {"keep", "match"}, optional
        Whether insertions keep their deviations from their mean, or have those of the surroundings in each channel, up
        to a random factor. When omitted "match" for the anomalies, which loudness would give away, and "keep" for the
        other tasks.
    gain : float, default 1.0
        Factor on the deviations of needles. Above 1 they are easier to find, and `audit_haystack` says so.
    cross_subject : bool, default True
        Whether needles come from another subject than what is around them; else from the same where it has one.
    shams : bool, default True
        Whether slots without a needle get a bout of the label that is there anyway, from another subject, so that all
        items of a task have as many insertions. Without, their number can tell the answer.
    regimes : dict, optional
        Regime of each label. Two clusters of the bouts by log-variance and centre of the spectrum when omitted.
    random_state : int, numpy Generator or None, default 0
        Seed. Each item has its own, so that the first items are the same whatever the counts.

    Returns
    -------
    haystack : Haystack
        Lists train, val and test of `HaystackItem`, which keep what to insert where, and compute their recordings when
        `render` is called.

    Raises
    ------
    ValueError
        If an argument is out of range, or the recordings do not hold enough for the task.

    See Also
    --------
    make_recordings : Synthetic recordings.
    score_answers : Compare answers with what is true.
    audit_haystack : Whether there are ways around the question.

    Notes
    -----
    Answers, slots and what is in them:

    - existence: whether a label is there. 3 slots, 1-3 needles of one regime; half of the items ask for another label
      of that regime.
    - localization: where a label is, among 1-3 needles of one regime.
    - counting: how often, 1-5, a label is there. 5 slots.
    - ordering: which of two labels is first. 3 slots.
    - state_query: the label around a needle, 10 % or more of the state away from its ends. 3 slots.
    - antecedent: the label that ends 0.1 to 0.2 s before another. 4 slots, background of the quietest regime.
    - comparison: the longest or shortest of 2-4 bouts of a label, or of the gaps without it, both edges included. It
      differs from the next by 2 % of the context, 2 s or the shortest needle, whichever is least. 4 slots.
    - multi_hop: the k-th bout of a label before or after an anchor, k = 1, 2, 3 with probabilities .4, .4, .2. 5 slots,
      3 bouts.
    - anomaly_detection: whether there is a label of another regime than the background's. 4 slots, 1-3 bouts of the
      background's own regime, and a needle in every other item.
    - anomaly_localization: where, or None.

    Labels that are asked for are nowhere else in what is labelled of the background; what happens in the unlabelled
    part of a piece of a recording is not known, and "pure" and "mixed" have none. Between insertions, and to the edges,
    there are min(2 % of the context, 1 s) or more. Insertions take the place of what was there, with a cosine
    cross-fade over min(0.5 s, a quarter of their length) inside either end. A bout is inserted once per item.

    A background longer than its recordings is joined from bouts of 8 s or more of a label: each once, subject by
    subject, and all over again in a new order when the part has no more. Joins overlap by 0.5 s, with the same cosine,
    and bouts of one state are brought to the mean of its first (turned to it by "rotate", left alone by "none").

    References
    ----------
    TS-Haystack, arXiv 2602.14200.

    Examples
    --------
    >>> from tsrec.datasets import make_haystack, make_recordings
    >>> recordings, events = make_recordings(12, seconds=240, rate=20, random_state=0)
    >>> haystack = make_haystack(
    ...     recordings, events, task="localization", context=100, needle=3, n_train=4, n_val=2, n_test=2
    ... )
    >>> item = haystack.test[0]
    >>> item.question["answer"], item.render().shape
    ('interval', (2000, 3))
    """
    counts = {"train": n_train, "val": n_val, "test": n_test}
    for part, count in counts.items():
        check_whole(f"n_{part}", count, 0)
    _check_words(task, sweep, background, level)
    check_number("context", context, 5.0)
    check_number("gain", gain, 0.0)
    source = read_source(recordings)
    bouts = bout_index(source, events)
    seed = _seed(random_state)
    parts = split_subjects(source, seed)
    maker = Maker(
        source,
        find_regimes(source, bouts, regimes),
        task=task,
        context=float(context),
        seconds=_lengths(task, context, sweep, needle),
        background=background or TASKS[task].background,
        transfer=_transfer(transfer, source),
        matched=(level or ("match" if task.startswith("anomaly") else "keep")) == "match",
        gain=gain,
        cross_subject=cross_subject,
        shams=shams,
        seed=seed,
    )
    pools = {part: Pool(source, bouts, parts[part]) for part in PARTS}
    return Haystack(*([maker.item(pools[part], part, i) for i in range(counts[part])] for part in PARTS))


def _check_words(task: str, sweep: str, background: str | None, level: str | None) -> None:
    for name, value, allowed in (
        ("task", task, HAYSTACK_TASKS),
        ("sweep", sweep, ("seconds", "ratio")),
        ("background", background, (None, "pure", "mixed", "any")),
        ("level", level, (None, "keep", "match")),
    ):
        if value not in allowed:
            raise ValueError(f"{name}: got {value!r}. Pass one of {', '.join(map(str, allowed))}.")


def _seed(random_state: int | np.random.Generator | None) -> int:
    if isinstance(random_state, Integral):
        return int(random_state)
    return int(np.random.default_rng(random_state).integers(2**62))


def _lengths(task: str, context: float, sweep: str, needle: float | tuple[float, float]) -> tuple[float, float]:
    """Range of the seconds of an insertion."""
    if sweep == "ratio":
        low, high = (max(share * context, _SHORTEST_NEEDLE) for share in TASKS[task].share)
    elif isinstance(needle, tuple):
        low, high = needle
    else:
        check_number("needle", needle, _SHORTEST_NEEDLE)
        low, high = (needle / 2, 2 * needle) if task == "comparison" else (needle, needle)
    if not _SHORTEST_NEEDLE <= low <= high < inf:
        raise ValueError(f"needle: got {needle!r} for a context of {context:g} s. Pass 0.5 s or more, or two in order.")
    return low, high


def _transfer(transfer: str | tuple[str, float], source: Source) -> tuple[str, float]:
    name, amount = (transfer, 1.0) if isinstance(transfer, str) else transfer
    if name not in TRANSFERS or not 0 <= amount <= 1:
        raise ValueError(f"transfer: got {transfer!r}. Pass {', '.join(TRANSFERS)}, or ('whiten', a) with a in [0, 1].")
    if name == "rotate" and len(source.channels) % 3:
        raise ValueError(f"transfer: 'rotate' got {len(source.channels)} channels. Pass them in threes, or 'mean'.")
    return name, float(amount)
