"""The ten tasks: which labels go where, what they may lie in, and what is asked."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from tsrec.datasets._haystack_background import Pool

# Seconds between an antecedent and what follows it.
_FOLLOWS = (0.1, 0.2)


class Task(NamedTuple):
    """Slots for insertions, needle lengths as shares of the context, kind of background and of answer."""

    slots: int
    share: tuple[float, float]
    background: str
    answer: str
    plan: Callable[["Draw"], "Plan | None"]


class Plan(NamedTuple):
    """Labels and roles of the slots in time (None for a sham), and what the background must and must not be."""

    labels: Sequence[str | None]
    question: dict[str, Any]
    # Labels that the background must not have, and the only one that it may have.
    avoid: frozenset[str]
    background: str | None = None
    # The slot that the next follows after that many samples.
    tie: tuple[int, int] | None = None
    roles: Sequence[str] | None = None


class Draw(NamedTuple):
    """What a plan is drawn from: bouts of the split, regimes, samples of the longest slot, number of the item."""

    rng: np.random.Generator
    pool: Pool
    regimes: dict[str, str]
    length: int
    number: int

    def labels(self, size: int, count: int = 1) -> list[str] | None:
        """`size` different labels in a random order, each with `count` bouts by others; None if there are fewer."""
        fitting = self.pool.labels(self.length, count)
        return [str(name) for name in self.rng.permutation(fitting)[:size]] if len(fitting) >= size else None

    def spread(self, labels: Sequence[str], slots: int) -> list[str | None]:
        """Labels in their order at random slots."""
        placed: list[str | None] = [None] * slots
        for slot, label in zip(sorted(self.rng.permutation(slots)[: len(labels)]), labels, strict=True):
            placed[slot] = label
        return placed

    def pick(self, options: Sequence[str]) -> str:
        """One of them."""
        return options[int(self.rng.integers(len(options)))]

    def of_one_regime(self) -> tuple[list[str], int] | None:
        """Labels of a regime in a random order, and how many of them, one to three, are inserted; one more is left."""
        groups: dict[str, list[str]] = {}
        for label in self.pool.labels(self.length):
            groups.setdefault(self.regimes[label], []).append(label)
        groups = {regime: labels for regime, labels in groups.items() if len(labels) > 1}
        if not groups:
            return None
        group = groups[self.pick(sorted(groups))]
        order = [str(name) for name in self.rng.permutation(group)]
        return order, int(self.rng.integers(1, min(3, len(order) - 1) + 1))


def _existence(draw: Draw) -> Plan | None:
    drawn = draw.of_one_regime()
    if drawn is None:
        return None
    order, count = drawn
    asked = order[0 if draw.number % 2 == 0 else count]
    labels = [str(label) for label in draw.rng.permutation(order[:count])]
    return Plan(draw.spread(labels, 3), {"label": asked}, frozenset(order[: count + 1]))


def _localization(draw: Draw) -> Plan | None:
    drawn = draw.of_one_regime()
    if drawn is None:
        return None
    order, count = drawn
    labels = [str(label) for label in draw.rng.permutation(order[:count])]
    return Plan(draw.spread(labels, 3), {"label": order[0]}, frozenset(order[:count]))


def _counting(draw: Draw) -> Plan | None:
    labels = draw.labels(1, 5)
    if labels is None:
        return None
    return Plan(draw.spread(labels * (1 + draw.number % 5), 5), {"label": labels[0]}, frozenset(labels))


def _ordering(draw: Draw) -> Plan | None:
    labels = draw.labels(2)
    if labels is None:
        return None
    question = {"labels": [str(label) for label in draw.rng.permutation(labels)]}
    return Plan(draw.spread(labels, 3), question, frozenset(labels))


def _state_query(draw: Draw) -> Plan | None:
    labels = draw.labels(1)
    if labels is None:
        return None
    return Plan(draw.spread(labels, 3), {"label": labels[0]}, frozenset(labels))


def _antecedent(draw: Draw) -> Plan | None:
    quiet = next(iter(draw.regimes.values()))
    grounds = [label for label in draw.pool.background_labels(draw.length) if draw.regimes[label] == quiet]
    labels = draw.labels(3)
    if not grounds or labels is None:
        return None
    ground = draw.pick(grounds)
    pair = [label for label in labels if label != ground][:2]
    slot = int(draw.rng.integers(3))
    placed: list[str | None] = [None] * 4
    placed[slot : slot + 2] = pair
    after = max(1, round(draw.pool.rate * draw.rng.uniform(*_FOLLOWS)))
    return Plan(placed, {"label": pair[1]}, frozenset(pair), ground, (slot, after))


def _comparison(draw: Draw) -> Plan | None:
    labels = draw.labels(1, 4)
    if labels is None:
        return None
    question = {
        "label": labels[0],
        "extremum": draw.pick(("longest", "shortest")),
        "of": draw.pick(("with", "without")),
    }
    return Plan(draw.spread(labels * int(draw.rng.integers(2, 5)), 4), question, frozenset(labels))


def _multi_hop(draw: Draw) -> Plan | None:
    labels = draw.labels(2, 3)
    if labels is None:
        return None
    anchor, target = labels
    k = int(draw.rng.choice([1, 2, 3], p=[0.4, 0.4, 0.2]))
    # Three targets in all, so that the one asked for is not always the outermost.
    asked = int(draw.rng.integers(k, 4))
    direction = draw.pick(("before", "after"))
    before = asked if direction == "before" else 3 - asked
    row = [target] * before + [anchor] + [target] * (3 - before)
    question = {"anchor": anchor, "label": target, "k": k, "direction": direction}
    return Plan(draw.spread(row, 5), question, frozenset(labels))


def _anomaly(draw: Draw) -> Plan | None:
    fitting = draw.pool.labels(draw.length)
    own = {label: [other for other in fitting if draw.regimes[other] == draw.regimes[label]] for label in fitting}
    grounds = [
        label for label in draw.pool.background_labels(draw.length) if len(own[label]) > 1 and own[label] != fitting
    ]
    if not grounds:
        return None
    ground = draw.pick(grounds)
    near = [label for label in own[ground] if label != ground]
    far = [label for label in fitting if label not in own[ground]]
    labels = [draw.pick(near) for _ in range(draw.rng.integers(1, 4))]
    roles = ["distractor"] * len(labels)
    if draw.number % 2 == 0:
        labels, roles = [*labels, draw.pick(far)], [*roles, "needle"]
    order = draw.rng.permutation(len(labels))
    placed = draw.spread([labels[i] for i in order], 4)
    turn = iter(order)
    named = ["sham" if label is None else roles[next(turn)] for label in placed]
    return Plan(placed, {"regimes": draw.regimes}, frozenset(fitting) - {ground}, ground, roles=named)


TASKS = {
    "existence": Task(3, (0.02, 0.10), "any", "bool", _existence),
    "localization": Task(3, (0.02, 0.10), "any", "interval", _localization),
    "counting": Task(5, (0.02, 0.08), "any", "int", _counting),
    "ordering": Task(3, (0.02, 0.10), "any", "label", _ordering),
    "state_query": Task(3, (0.01, 0.05), "mixed", "label", _state_query),
    "antecedent": Task(4, (0.02, 0.08), "pure", "label", _antecedent),
    "comparison": Task(4, (0.02, 0.08), "any", "interval", _comparison),
    "multi_hop": Task(5, (0.02, 0.06), "any", "interval", _multi_hop),
    "anomaly_detection": Task(4, (0.03, 0.15), "pure", "bool", _anomaly),
    "anomaly_localization": Task(4, (0.03, 0.15), "pure", "interval", _anomaly),
}
HAYSTACK_TASKS = tuple(TASKS)
