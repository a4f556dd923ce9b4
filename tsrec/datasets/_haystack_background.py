"""Backgrounds of a haystack: stretches of bouts joined to any length, or a piece of a recording as it is."""

from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from tsrec.datasets._haystack_source import Bout, Source

COVERAGE = 0.6
# Shorter bouts make needles, not backgrounds: a background of three-second pieces would be all joins.
_SHORTEST_STRETCH = 8.0
_FADE = 0.5
_TRIES = 20


class Stretch(NamedTuple):
    """A piece of a recording in samples, and the label of all of it; None where it has many."""

    recording: str
    subject: str
    start: int
    n_times: int
    label: str | None


class Span(NamedTuple):
    """Samples of an item that have a label, the end excluded."""

    start: int
    end: int
    label: str


class Background(NamedTuple):
    """Stretches in a row, each overlapping the one before it by `fade` samples, and what they are labelled."""

    stretches: tuple[Stretch, ...]
    fade: int
    timeline: tuple[Span, ...]

    def positions(self) -> np.ndarray:
        """First sample of each stretch, and the end of the last; (n_stretches + 1,)."""
        lengths = np.array([stretch.n_times for stretch in self.stretches])
        return np.append(0, np.cumsum(lengths - self.fade)) + np.append(np.zeros(len(lengths), int), self.fade)

    def at(self, place: int) -> tuple[str | None, str]:
        """Label and subject at a sample."""
        index = int(np.searchsorted(self.positions()[:-1] + self.fade // 2, place, side="right")) - 1
        label = next((span.label for span in self.timeline if span.start <= place < span.end), None)
        return label, self.stretches[max(index, 0)].subject


class Pool:
    """Bouts of one part by label, and what can be made of them."""

    def __init__(self, source: Source, bouts: list[Bout], subjects: frozenset[str]) -> None:
        self.rate = source.rate
        self.sizes = {name: len(x) for name, x in source.values.items() if source.subjects[name] in subjects}
        self.subjects = source.subjects
        self.bouts = [bout for bout in bouts if bout.subject in subjects]
        self.by_label: dict[str, list[Bout]] = {}
        self.by_recording: dict[str, list[Bout]] = {}
        for bout in self.bouts:
            self.by_label.setdefault(bout.label, []).append(bout)
            self.by_recording.setdefault(bout.recording, []).append(bout)
        self.long = {
            label: [bout for bout in mine if bout.n_times >= _SHORTEST_STRETCH * self.rate]
            for label, mine in self.by_label.items()
        }

    def labels(self, length: int, count: int = 1) -> list[str]:
        """Labels with `count` bouts of this length that are not of one subject, whoever that is."""
        kept = []
        for label, mine in self.by_label.items():
            owners = Counter(bout.subject for bout in mine if bout.n_times >= length)
            if owners.total() - max(owners.values(), default=0) >= count:
                kept.append(label)
        return sorted(kept)

    def background_labels(self, length: int) -> list[str]:
        """Labels of which a background can be made, with bouts of this length by somebody else to insert."""
        fitting = self.labels(length)
        return [label for label in fitting if len({bout.subject for bout in self.long[label]}) > 1]

    def pure(self, label: str, n_times: int, rng: np.random.Generator) -> Background:
        """One label all along."""
        return self._joined([(label, n_times)], rng)

    def mixed(self, labels: list[str], n_times: int, least: int, rng: np.random.Generator) -> Background:
        """Two to five states of different labels, none below half an equal share or, with three or more, `least`."""
        most = min(5, len(labels), n_times // max(2 * least, 1))
        count = int(rng.integers(2, max(most, 2) + 1))
        share = 0.5 / count + 0.5 * rng.dirichlet(np.ones(count))
        cuts = np.rint(np.append(0, np.cumsum(share)) * n_times).astype(int)
        names = rng.permutation(labels)[:count]
        return self._joined([(str(name), int(n)) for name, n in zip(names, np.diff(cuts), strict=True)], rng)

    def natural(self, avoid: frozenset[str], n_times: int, rng: np.random.Generator) -> Background | None:
        """A piece of one recording, labelled for 60 % or more and with none of `avoid`; None if none was found."""
        names = [name for name, size in self.sizes.items() if size >= n_times and name in self.by_recording]
        for _ in range(_TRIES if names else 0):
            name = names[rng.integers(len(names))]
            start = int(rng.integers(self.sizes[name] - n_times + 1))
            spans = tuple(
                Span(max(bout.start - start, 0), min(bout.end - start, n_times), bout.label)
                for bout in self.by_recording[name]
                if bout.end > start and bout.start < start + n_times
            )
            covered = sum(span.end - span.start for span in spans)
            if covered >= COVERAGE * n_times and avoid.isdisjoint(span.label for span in spans):
                return Background((Stretch(name, self.subjects[name], start, n_times, None),), 0, spans)
        return None

    def _joined(self, states: list[tuple[str, int]], rng: np.random.Generator) -> Background:
        n_times = sum(length for _, length in states)
        fade = int(min(_FADE * self.rate, n_times / 16))
        stretches: list[Stretch] = []
        spans: list[Span] = []
        at = 0
        for label, length in states:
            # A state begins in the middle of its first join, so all but the first have the overlap in front.
            stretches += self._stretches(label, length + (fade if stretches else 0), fade, rng)
            spans.append(Span(at, at + length, label))
            at += length
        shift = fade - fade // 2
        inner = [span._replace(start=span.start - (shift if span.start else 0)) for span in spans]
        ends = [span.start for span in inner[1:]] + [n_times]
        return Background(
            tuple(stretches), fade, tuple(span._replace(end=end) for span, end in zip(inner, ends, strict=True))
        )

    def _stretches(self, label: str, n_times: int, fade: int, rng: np.random.Generator) -> list[Stretch]:
        """Bouts of one label until, with their overlaps, they make up `n_times` samples."""
        drawn: list[Stretch] = []
        total = 0
        for bout in self._in_turn(label, rng):
            drawn.append(Stretch(bout.recording, bout.subject, bout.start, bout.n_times, label))
            total += bout.n_times - (fade if len(drawn) > 1 else 0)
            if total >= n_times:
                break
        over = total - n_times
        # What is left of the last must still hold a join at either end; else the one before gives way too.
        if len(drawn) > 1 and drawn[-1].n_times - over < 4 * fade:
            give = 4 * fade - (drawn[-1].n_times - over)
            drawn[-2] = drawn[-2]._replace(n_times=drawn[-2].n_times - give)
            over -= give
        last = drawn[-1]
        drawn[-1] = last._replace(start=last.start + int(rng.integers(over + 1)), n_times=last.n_times - over)
        return drawn

    def _in_turn(self, label: str, rng: np.random.Generator) -> Iterator[Bout]:
        """Long bouts of a label, subject by subject and each once; then all over again, in a new order."""
        people: dict[str, list[Bout]] = {}
        for bout in self.long[label]:
            people.setdefault(bout.subject, []).append(bout)
        names = sorted(people)
        while True:
            for person in rng.permutation(len(names)):
                mine = people[names[person]]
                for place in rng.permutation(len(mine)):
                    yield mine[place]
