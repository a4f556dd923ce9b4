"""Search: where in many long series something happened."""

from tsrec.retrieval.subsequence import SubsequenceRetriever

__all__ = ["SubsequenceRetriever"]
