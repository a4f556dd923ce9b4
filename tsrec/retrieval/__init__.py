"""Search: where in many long series something happened, and what may follow."""

from tsrec.retrieval.events import EventLocator
from tsrec.retrieval.forecaster import RetrievalForecaster
from tsrec.retrieval.subsequence import SubsequenceRetriever

__all__ = ["EventLocator", "RetrievalForecaster", "SubsequenceRetriever"]
