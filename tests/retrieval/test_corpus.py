"""Series that came in pieces are searched as if they had come whole, whatever the lengths of pieces and queries."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tsrec.retrieval import _corpus
from tsrec.retrieval._corpus import Bridges, Corpus
from tsrec.retrieval._directory import Directory
from tsrec.retrieval._exact import nearest, standardised
from tsrec.retrieval._memory import Memory


def in_pieces(series, corpus, rng):
    """Put series into a corpus: all at first, then some of them, a piece at a time."""
    done = np.zeros(len(series), dtype=int)
    who = list(range(len(series)))
    while who:
        size = [min(int(rng.integers(1, 60)), len(series[i]) - done[i]) for i in who]
        pieces = [series[i][done[i] : done[i] + n] for i, n in zip(who, size, strict=True)]
        corpus.extend(np.concatenate(pieces), np.append(0, np.cumsum(size)), np.array(who))
        done[who] += size
        left = [i for i in range(len(series)) if done[i] < len(series[i])]
        who = [i for i in left if rng.random() < 0.7] or left


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 60), st.integers(1, 20), st.integers(1, 3), st.booleans())
def test_windows_across_borders_are_found_once(seed, m, overlap, n_channels, kept):
    rng = np.random.default_rng(seed)
    series = [np.round(rng.standard_normal((rng.integers(30, 250), n_channels)), 1) for _ in range(3)]
    corpus = Corpus(Memory(), n_channels, overlap=overlap, most=10**6 if kept else 1)
    in_pieces(series, corpus, rng)
    for number, one in enumerate(series):
        np.testing.assert_array_equal(corpus.read(number, 0, len(one)), one)
    query, exclusion = rng.standard_normal((m, n_channels)), int(rng.integers(1, m + 1))
    searched = Bridges(corpus, m, range(n_channels))
    low, high = np.array([0, 10, 0]), corpus.lengths - [0, 0, 5]
    at, distance = nearest(
        searched.parts,
        query,
        8,
        apart=lambda one: searched.around(one, exclusion),
        closed=searched.closed(low, np.maximum(high - m + 1, low)),
    )
    wanted = standardised(query)
    left = {
        (i, row): np.sqrt(np.square(standardised(one[row : row + m]) - wanted).sum())
        for i, one in enumerate(series)
        for row in range(low[i], high[i] - m + 1)
    }
    for number, row, apart in zip(*searched.where(at), distance, strict=True):
        assert left[number, row] == pytest.approx(apart, abs=1e-9)
        assert apart**2 <= min(left.values()) ** 2 + 1e-7
        for near in range(row - exclusion + 1, row + exclusion):
            left.pop((number, near), None)
    assert len(at) == 8 or not left


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([5, 1 << 20]), st.booleans())
def test_short_windows_lie_in_one_stretch(seed, piece, joined):
    rng = np.random.default_rng(seed)
    series = [rng.standard_normal((rng.integers(30, 250), 2)) for _ in range(3)]
    corpus = Corpus(Memory(), 2, overlap=15)
    with pytest.MonkeyPatch.context() as patch:
        # Rows put in, or read, at a time.
        patch.setattr(_corpus, "_PIECE", piece)
        in_pieces(series, corpus, rng)
        if joined:
            corpus.arrays.rewrite({}, replace=corpus.joined())
            corpus = Corpus(corpus.arrays, 2, overlap=15)
            assert len(corpus.channels[0].x) == sum(len(one) + 1 for one in series)
    for number, one in enumerate(series):
        rows = np.arange(len(one) - 15)
        for row, at in zip(rows, corpus.positions(np.full(len(rows), number), rows), strict=True):
            np.testing.assert_array_equal(corpus.channels[1].x[at : at + 16], one[row : row + 16, 1])


def test_what_goes_into_a_folder_is_not_held_a_second_time(tmp_path, monkeypatch):
    monkeypatch.setattr(_corpus, "_PIECE", 1 << 12)
    values, more = np.random.default_rng(0).standard_normal((2, 200_000, 2))
    corpus = Corpus(Directory.make(tmp_path / "index"), 2, overlap=15)

    def at_once(work):
        tracemalloc.start()
        work()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    assert at_once(lambda: corpus.extend(values, np.array([0, 50_000, 200_000]), np.array([0, 1]))) < values.nbytes / 4
    assert at_once(lambda: corpus.extend(more, np.array([0, 200_000]), np.array([0]))) < values.nbytes / 4
    assert at_once(lambda: corpus.arrays.rewrite({}, replace=corpus.joined())) < values.nbytes / 4
    joined = Corpus(corpus.arrays, 2, overlap=15)
    np.testing.assert_array_equal(joined.read(0, 0, 250_000), np.concatenate([values[:50_000], more]))
    np.testing.assert_array_equal(joined.read(1, 0, 150_000), values[50_000:])
