"""How an item of a haystack is drawn: a plan, a background, places, and bouts to put there."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from tsrec.datasets._haystack_answers import answer_question, choices
from tsrec.datasets._haystack_background import Background, Pool, Stretch
from tsrec.datasets._haystack_item import Edit, HaystackItem
from tsrec.datasets._haystack_source import Bout, Source, digest
from tsrec.datasets._haystack_tasks import TASKS, Draw, Plan

_TRIES = 100
# Spread of the logarithm of the gain where insertions get the deviations around them: it covers what an estimate from
# a few seconds leaves, so that neither the loudest nor the faintest of them tells which is the needle.
_JITTER = 0.25
# Share of a state that a needle keeps away from its ends.
_STATE_MARGIN = 0.1


@dataclass(frozen=True)
class Maker:
    """The arguments of `make_haystack`, checked, and the draws."""

    source: Source
    regimes: dict[str, str]
    task: str
    context: float
    seconds: tuple[float, float]
    background: str
    transfer: tuple[str, float]
    matched: bool
    gain: float
    cross_subject: bool
    shams: bool
    seed: int

    def item(self, pool: Pool, part: str, index: int) -> HaystackItem:
        """The item of that number; its draws follow from its own seed."""
        seed = digest(self.seed, self.task, self.context, part, index)
        rng = np.random.default_rng(seed)
        for _ in range(_TRIES):
            item = self._tried(pool, part, index, seed, rng)
            if item is not None:
                return item
        raise ValueError(
            f"recordings: no item of {self.task} with {self.context:g} s and needles of {self.seconds[0]:g} to "
            f"{self.seconds[1]:g} s was found in {_TRIES} draws from {part}. Pass more subjects or labels, shorter "
            "needles or a longer context."
        )

    def _tried(self, pool: Pool, part: str, index: int, seed: int, rng: np.random.Generator) -> HaystackItem | None:
        """Draw once; None if something did not fit. What is true is not drawn anew, so that tries favour neither."""
        task, n_times = TASKS[self.task], round(self.context * self.source.rate)
        # All slots alike, whatever becomes of them: their lengths and places say nothing.
        lengths = np.rint(rng.uniform(*self.seconds, size=task.slots) * self.source.rate).astype(int)
        plan = task.plan(Draw(rng, pool, self.regimes, int(lengths.max()), index))
        ground = None if plan is None else self._background(pool, plan, n_times, int(lengths.max()), rng)
        if plan is None or ground is None:
            return None
        starts = self._places(lengths, n_times, plan, ground, rng)
        edits = None if starts is None else self._edits(pool, plan, ground, lengths, starts, rng)
        if edits is None:
            return None
        question = {"task": self.task, "answer": task.answer, "context": n_times / self.source.rate, **plan.question}
        known = (self.task, part, index, seed, self.source.rate, n_times, ground, edits, self.transfer, question)
        truth = HaystackItem(*known, None, self.source).truth
        if self.task == "comparison" and not self._is_clear(truth, question):
            return None
        return HaystackItem(*known, answer_question(truth, question), self.source)

    def _background(
        self, pool: Pool, plan: Plan, n_times: int, length: int, rng: np.random.Generator
    ) -> Background | None:
        kind = self.background if TASKS[self.task].background == "any" else TASKS[self.task].background
        if kind == "any" and rng.random() < 0.5:
            found = pool.natural(plan.avoid, n_times, rng)
            if found is not None:
                return found
        labels = [label for label in pool.background_labels(length) if label not in plan.avoid]
        if kind == "any":
            kind = "pure" if rng.random() < 0.5 or len(labels) < 2 else "mixed"
        if len(labels) < (2 if kind == "mixed" else 1):
            return None
        if kind == "mixed":
            least = int(np.ceil(length / (1 - 2 * _STATE_MARGIN))) + 1
            return pool.mixed(labels, n_times, least, rng)
        return pool.pure(plan.background or labels[rng.integers(len(labels))], n_times, rng)

    def _places(
        self, lengths: np.ndarray, n_times: int, plan: Plan, ground: Background, rng: np.random.Generator
    ) -> np.ndarray | None:
        """First sample of each slot, uniform over all ways to keep the gaps; None if there are none."""
        margin = int(np.ceil(min(0.02 * self.context, 1.0) * self.source.rate))
        gaps = np.full(len(lengths), margin)
        moves = np.full(len(lengths), True)
        if plan.tie:
            slot, after = plan.tie
            gaps[slot + 1], moves[slot + 1] = after, False
        free = n_times - margin - lengths.sum() - gaps.sum()
        if free < 0:
            return None
        closest = np.cumsum(gaps) + np.append(0, np.cumsum(lengths)[:-1])
        for _ in range(_TRIES):
            offsets = np.sort(rng.integers(0, free + 1, size=moves.sum()))
            starts = closest + offsets[np.cumsum(moves) - 1]
            if self.task != "state_query" or _are_inside(starts, lengths, ground):
                return starts
        return None

    def _edits(
        self,
        pool: Pool,
        plan: Plan,
        ground: Background,
        lengths: np.ndarray,
        starts: np.ndarray,
        rng: np.random.Generator,
    ) -> tuple[Edit, ...] | None:
        edits: list[Edit] = []
        used: dict[str, list[Stretch]] = {}
        for stretch in ground.stretches:
            used.setdefault(stretch.recording, []).append(stretch)
        for slot, (label, start, length) in enumerate(zip(plan.labels, starts.tolist(), lengths.tolist(), strict=True)):
            usual, subject = ground.at(start + length // 2)
            role = plan.roles[slot] if plan.roles else "needle" if label else "sham"
            gain = float(np.exp(rng.normal(scale=_JITTER))) if self.matched else 1.0
            if role == "sham" and not self.shams:
                continue
            label, other = (usual, True) if role == "sham" else (label, self.cross_subject)
            bout = None if label is None else _bout(pool, label, length, subject, other, (used, edits), rng)
            if bout is None:
                return None
            gain *= self.gain if role == "needle" else 1.0
            cut = bout.start + (bout.n_times - length) // 2
            edits.append(Edit(bout.recording, bout.subject, cut, length, start, bout.label, role, gain, self.matched))
        return tuple(edits)

    def _is_clear(self, truth: pd.DataFrame, question: dict[str, Any]) -> bool:
        """Whether the extremum differs from the next by enough."""
        found = choices(truth, question)
        length = np.sort(found[:, 1] - found[:, 0])
        if len(length) < 2:
            return False
        between = length[-1] - length[-2] if question["extremum"] == "longest" else length[1] - length[0]
        return between >= min(0.02 * self.context, 2.0, self.seconds[0])


def _are_inside(starts: np.ndarray, lengths: np.ndarray, ground: Background) -> bool:
    """Whether each slot lies in one state, a tenth of the state away from its ends."""
    edges = np.array([span.start for span in ground.timeline] + [ground.timeline[-1].end])
    state = np.searchsorted(edges, starts, side="right") - 1
    margin = _STATE_MARGIN * np.diff(edges)[state]
    return bool(((starts >= edges[state] + margin) & (starts + lengths <= edges[state + 1] - margin)).all())


def _bout(
    pool: Pool,
    label: str,
    length: int,
    subject: str,
    other: bool,
    taken: tuple[dict[str, list[Stretch]], list[Edit]],
    rng: np.random.Generator,
) -> Bout | None:
    """A bout of a label that is long enough and not inserted yet, rather one that is not in the background either."""
    ground, edits = taken
    fitting = [bout for bout in pool.by_label.get(label, ()) if bout.n_times >= length]
    fitting = [bout for bout in fitting if not _overlap(bout, edits)]
    own = [bout for bout in fitting if (bout.subject != subject) == other]
    fitting = own if other or own else fitting
    order = [fitting[place] for place in rng.permutation(len(fitting))]
    fresh = (bout for bout in order if not _overlap(bout, ground.get(bout.recording, ())))
    return next(fresh, order[0] if order else None)


def _overlap(bout: Bout, pieces: Sequence[Edit | Stretch]) -> bool:
    return any(
        bout.recording == piece.recording and bout.start < piece.start + piece.n_times and piece.start < bout.end
        for piece in pieces
    )
