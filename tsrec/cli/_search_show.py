"""What a search prints, writes and draws."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from tsrec.cli._errors import listing, note
from tsrec.cli._layout import show

if TYPE_CHECKING:
    from tsrec.retrieval import SubsequenceRetriever

_MOST_SERIES, _MOST_CHANNELS = 20, 4


def write(found: pd.DataFrame, path: Path | None) -> None:
    """Write matches to a file, JSON if it is called so, else CSV; a table to standard output if there is none."""
    found = found.assign(score=found["score"].round(6), distance=found["distance"].round(6))
    if path is None:
        # Pandas would call a table without rows an empty frame, which no shell knows.
        print(found.to_string(index=False, float_format="%.4g") if len(found) else "  ".join(found.columns))
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    for column in ("start", "end"):
        if found[column].dtype.kind not in "if":
            found[column] = [_text(time) for time in found[column]]
    if path.suffix.lower() == ".json":
        found.to_json(path, orient="records", indent=1)
    else:
        found.to_csv(path, index=False)
    print(f"wrote {len(found)} matches to {path}")


def _text(time: Any) -> str:
    return time.isoformat(sep=" ") if isinstance(time, pd.Timestamp) else str(time)


def draw(found: pd.DataFrame, retriever: "SubsequenceRetriever", pattern: pd.DataFrame, path: Path) -> None:
    """Draw a pattern and its matches into a file."""
    from tsrec.plotting import MatchesDisplay

    channels = list(pattern.columns[:_MOST_CHANNELS])
    if len(channels) < pattern.shape[1]:
        note(f"note: the picture shows the first {len(channels)} of {pattern.shape[1]} channels")
    display = MatchesDisplay(found, retriever, pattern, channels=channels).plot()
    path.parent.mkdir(parents=True, exist_ok=True)
    display.figure_.savefig(path, dpi=120, bbox_inches="tight")
    print(f"drew {path}")


def about(retriever: "SubsequenceRetriever", folder: Path) -> None:
    """Print what a folder holds."""
    table = retriever.spans_[["rows", "start", "end"]]
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    print(
        f"{folder}: {len(table)} series, {table['rows'].sum()} rows {retriever._contents.times.spacing()}, "
        f"from {show(table['start'].min())} to before {show(table['end'].max())}, {size / 1e6:.1f} MB"
    )
    print(f"channels: {listing(map(str, retriever.channels_))}")
    if retriever.metadata_ is not None:
        table = table.join(retriever.metadata_)
    print(table[:_MOST_SERIES].to_string())
    if len(table) > _MOST_SERIES:
        print(f"and {len(table) - _MOST_SERIES} more")
