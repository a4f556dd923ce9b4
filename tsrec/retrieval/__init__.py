"""Search: where in many long series something happened."""

from tsrec.retrieval.events import EventLocator
from tsrec.retrieval.subsequence import SubsequenceRetriever

__all__ = ["EventLocator", "SubsequenceRetriever"]
