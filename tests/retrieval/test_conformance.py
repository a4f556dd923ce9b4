"""Retrievers pass scikit-learn's checks, on tables with a window a row."""

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

from tsrec.retrieval import SubsequenceRetriever


@parametrize_with_checks([SubsequenceRetriever()])
def test_checks(estimator, check):
    check(estimator)


def test_neighbours_are_those_of_the_embeddings():
    rng = np.random.default_rng(0)
    X, Q = rng.standard_normal((40, 30)).cumsum(1), rng.standard_normal((7, 30)).cumsum(1)
    retriever = SubsequenceRetriever(n_neighbors=3).fit(X)
    units = X - X.mean(1, keepdims=True), Q - Q.mean(1, keepdims=True)
    units = [one / np.linalg.norm(one, axis=1, keepdims=True) for one in units]
    gaps = np.linalg.norm(units[1][:, None] - units[0], axis=2)
    distance, number = retriever.kneighbors(Q)
    np.testing.assert_array_equal(number, np.argsort(gaps, axis=1)[:, :3])
    np.testing.assert_allclose(distance, np.sort(gaps, axis=1)[:, :3], atol=1e-5)
    near, which = retriever.radius_neighbors(Q, 0.9)
    for i in range(7):
        expected = np.flatnonzero(gaps[i] <= 0.9)
        np.testing.assert_array_equal(np.sort(which[i]), expected)
        assert (np.diff(near[i]) >= 0).all()
    graph = retriever.kneighbors_graph(Q, mode="distance")
    assert graph.shape == (7, 40)
    np.testing.assert_allclose(graph.toarray()[0, number[0]], distance[0])
    assert (np.diff(retriever.transform(Q).indptr) == 4).all()
    own, self_number = retriever.kneighbors(n_neighbors=2)
    among = np.linalg.norm(units[0][:, None] - units[0], axis=2) + np.diag(np.full(40, np.inf))
    np.testing.assert_array_equal(self_number, np.argsort(among, axis=1)[:, :2])
    np.testing.assert_allclose(own[:, 0], among.min(1), atol=1e-5)
    radius = retriever.radius_neighbors(radius=0.9, return_distance=False)
    assert all(i not in radius[i] for i in range(40))
    with pytest.raises(ValueError, match="n_neighbors: found 40"):
        retriever.kneighbors(n_neighbors=40)


def test_it_stands_in_front_of_a_classifier_of_neighbours():
    rng = np.random.default_rng(1)
    y = np.arange(60) % 2
    X = np.where(y[:, None], np.sin(np.arange(50) / 3), np.cos(np.arange(50) / 5)) + 0.3 * rng.standard_normal((60, 50))
    pipeline = make_pipeline(SubsequenceRetriever(n_neighbors=5), KNeighborsClassifier(5, metric="precomputed"))
    assert pipeline.fit(X[:40], y[:40]).score(X[40:], y[40:]) == 1


def test_scales_of_few_windows_are_passed_over():
    walk = np.random.default_rng(2).standard_normal(1100).cumsum()
    retriever = SubsequenceRetriever(n_neighbors=3).fit([walk])
    scale = retriever.windows_["scale"].to_numpy()
    assert (scale == 1024).sum() == 1
    distance, number = retriever.kneighbors()
    assert distance.shape == (len(scale), 3)
    assert (scale[number[scale == 256]] == 256).all()
    assert (scale[number[scale == 1024]] == 256).all()
    assert (scale[retriever.kneighbors([walk[:900]], return_distance=False)] == 256).all()
