"""Search: series go into a folder, patterns are looked for in it."""

import argparse
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd

import tsrec
from tsrec.cli import _search_show, _show
from tsrec.cli._errors import CommandError, did_you_mean, in_words_of_the_shell, listing, note
from tsrec.cli._layout import rhythm
from tsrec.cli._pattern import as_time, cut, read_pattern
from tsrec.cli._read import Data, read_data
from tsrec.cli._table import read_table

if TYPE_CHECKING:
    from tsrec.retrieval import SubsequenceRetriever


def index(arguments: argparse.Namespace) -> None:
    """Put the series of files into a folder."""
    folder: Path = arguments.folder
    if arguments.append:
        _check_there(folder)
    elif folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise CommandError(f"{str(folder)!r} holds something. Add to it with --append, or name another folder.")
    found = [
        read_data(argparse.Namespace(**{**vars(arguments), "data": path, "known": None})) for path in arguments.data
    ]
    _check_alike(found)
    for data in found:
        note(f"read {data.path}: {_show.understood(data, 'indexing').removeprefix('read ')}")
    metadata = None if arguments.metadata is None else _metadata(arguments)
    from tsrec.retrieval import SubsequenceRetriever

    where = str(arguments.data[0]) if len(found) == 1 else f"{len(found)} files"
    try:
        if arguments.append:
            retriever = _opened(arguments, "a")
            _add(retriever, _turns(found, retriever.lengths_.index), metadata)
        else:
            retriever = SubsequenceRetriever(encoder=_encoder(arguments))
            _add(retriever, _turns(found, pd.Index([])), metadata)
            retriever.save(folder)
    except ValueError as err:
        raise CommandError(in_words_of_the_shell(str(err), where)) from err
    print(f"{folder} holds {retriever.n_series_} series, {retriever.lengths_.sum()} rows")


def query(arguments: argparse.Namespace) -> None:
    """Find what looks like a pattern."""
    _check_there(arguments.folder)
    table = None if arguments.data is None else read_table(_pattern_flags(arguments))
    retriever = _opened(arguments, "r")
    if arguments.verify is not None:
        retriever.set_params(verify=arguments.verify)
    if table is None:
        pattern = cut(_stored(retriever, arguments), arguments, str(arguments.folder))
    else:
        pattern = read_pattern(table, arguments, retriever.channels_)
    name = str(arguments.data or arguments.folder)
    pattern = _compared(pattern, arguments.channels, list(retriever.channels_), name)
    asked = {
        "k": arguments.k,
        "where": None if arguments.where is None else _where(arguments.where, retriever, arguments.folder),
        "time_range": _time_range(arguments, retriever),
        "max_distance": arguments.max_distance,
        "warp": False if arguments.warp is None else arguments.warp or True,
    }
    try:
        found = retriever.locate(pattern, **asked)
    except ValueError as err:
        raise CommandError(in_words_of_the_shell(str(err), name)) from err
    note(f"looked for {len(pattern)} rows of {listing(map(str, pattern.columns))} in {arguments.folder}")
    found = found.drop(columns=["query", "verified"])
    if not len(found):
        note("note: nothing was found: nothing is near enough, or the pattern is longer than what is searched")
    _search_show.write(found, arguments.out)
    if arguments.plot is not None:
        _search_show.draw(found, retriever, pattern, arguments.plot)


def info(arguments: argparse.Namespace) -> None:
    """Say what a folder holds."""
    _check_there(arguments.folder)
    _search_show.about(_opened(arguments, "r"), arguments.folder)


def _opened(arguments: argparse.Namespace, mode: Literal["r", "a"]) -> "SubsequenceRetriever":
    """What a folder holds, to be read or added to."""
    from tsrec.retrieval import SubsequenceRetriever

    try:
        return SubsequenceRetriever.load(arguments.folder, encoder=_encoder(arguments), mode=mode)
    except ValueError as err:
        if not str(err).startswith("encoder: "):
            raise
        mend = "Leave it out" if "without one" in str(err) else "Name the file of that one, which tsrec.save wrote"
        raise CommandError(f"--{str(err).split('.')[0]}. {mend}.") from err


def _encoder(arguments: argparse.Namespace) -> Any:
    if arguments.encoder is None:
        return "auto"
    try:
        return tsrec.load(arguments.encoder)
    except (ValueError, OSError) as err:
        raise CommandError(f"--encoder: {str(err).removeprefix('path: ')}") from err


def _check_there(folder: Path) -> None:
    if not folder.is_dir():
        beside = [path.name for path in folder.parent.glob("*")] if folder.parent.is_dir() else []
        template = str(folder.parent / "{}") if folder.parent != Path() else "{}"
        hint = did_you_mean(folder.name, beside, template) or " Make it with: tsrec search index DIR data.csv"
        raise CommandError(f"there is no folder {str(folder)!r}.{hint}")


def _check_alike(found: list[Data]) -> None:
    """Files that are searched together have the same columns and steps."""
    first = found[0]
    for data in found[1:]:
        columns, others = list(first.values.columns), list(data.values.columns)
        if sorted(columns) != sorted(others):
            raise CommandError(
                f"{data.path} has the columns {listing(others)}, {first.path} {listing(columns)}. Choose those that "
                "all have with --target."
            )
        if not data.layout.grid.same_spacing(first.layout.grid):
            raise CommandError(
                f"{data.path} is {rhythm(data.layout.grid)}, {first.path} {rhythm(first.layout.grid)}. Put series of "
                "different steps into different folders."
            )


def _turns(found: list[Data], known: pd.Index) -> list[pd.DataFrame]:
    """Panels in which no series comes twice: files that go on with a series are taken in one after another."""
    labels = {str(label): label for label in known}
    frames = [_named(data, labels) for data in found]
    seen: Counter[Any] = Counter()
    turns: list[list[pd.DataFrame]] = []
    for frame in sorted(frames, key=lambda frame: frame.index.get_level_values(1).min()):
        names = frame.index.get_level_values(0)
        turn = {name: seen[name] for name in names.unique()}
        seen.update(turn.keys())
        for number in sorted(set(turn.values())):
            turns.extend([] for _ in range(number + 1 - len(turns)))
            turns[number].append(frame[names.map(turn) == number])
    return [pd.concat(parts) for parts in turns]


def _named(data: Data, labels: dict[str, Any]) -> pd.DataFrame:
    """A panel: its series are called as in --id, else as the file; those that are known by the names they have."""
    stem = data.path.with_suffix("").stem if data.path.suffix in (".gz", ".bz2", ".xz") else data.path.stem
    ids = [stem] * len(data.values) if data.layout.names is None else data.values.index.get_level_values(0)
    names = pd.Index([labels.get(str(one), str(one)) for one in ids])
    times = data.values.index.get_level_values(-1)
    return data.values.set_axis(pd.MultiIndex.from_arrays([names, times], names=["series", times.name]))


def _add(retriever: "SubsequenceRetriever", turns: list[pd.DataFrame], metadata: pd.DataFrame | None) -> None:
    for turn in turns:
        retriever.partial_fit(turn, metadata=metadata)


def _metadata(arguments: argparse.Namespace) -> pd.DataFrame:
    flags = {"data": arguments.metadata, "time": None, "id": None, "target": None}
    table = read_table(argparse.Namespace(**{**vars(arguments), **flags}))
    return table.frame.set_index(table.frame[table.time].str.strip()).drop(columns=table.time)


def _pattern_flags(arguments: argparse.Namespace) -> argparse.Namespace:
    return argparse.Namespace(**{**vars(arguments), "target": None, "known": None})


def _stored(retriever: "SubsequenceRetriever", arguments: argparse.Namespace) -> pd.DataFrame:
    """The series of the folder that the pattern is cut from."""
    labels = list(retriever.lengths_.index)
    if arguments.series is None and len(labels) > 1:
        raise CommandError(
            "pattern: there is none. Name a file, or the series it is cut from, with --series and --between or --rows."
        )
    if arguments.rows is None and arguments.between is None:
        raise CommandError("--series: which part of it? Say so with --between or --rows, or name a file.")
    return retriever.rows(_label(arguments.series, retriever, "--series") if arguments.series else labels[0])


def _label(word: str, retriever: "SubsequenceRetriever", flag: str) -> Any:
    return _among(word, {str(label): label for label in retriever.lengths_.index}, f"{flag}: there is no series")


def _among(word: str, known: dict[str, Any], lacking: str) -> Any:
    if word not in known:
        raise CommandError(f"{lacking} {word!r}.{did_you_mean(word, known)} There are: {listing(known)}.")
    return known[word]


def _where(words: list[str], retriever: "SubsequenceRetriever", folder: Path) -> Any:
    """Names of series, or what tells them by their metadata."""
    named = set(map(str, retriever.lengths_.index))
    if not all("=" in word and word not in named for word in words):
        return [_label(word, retriever, "--where") for word in words]
    metadata = retriever.metadata_
    if metadata is None:
        raise CommandError(f"--where: the series of {folder} have no metadata. Name series, or index with --metadata.")
    columns = {str(column): column for column in metadata.columns}
    wanted: dict[Any, list[str]] = {}
    for word in words:
        name, value = word.split("=", 1)
        column = _among(name, columns, "--where: the metadata have no column")
        wanted.setdefault(column, []).append(value)

    def told(rows: pd.DataFrame) -> pd.Series:
        return pd.concat([rows[column].astype(str).isin(values) for column, values in wanted.items()], axis=1).all(
            axis=1
        )

    return told


def _time_range(arguments: argparse.Namespace, retriever: "SubsequenceRetriever") -> tuple[Any, Any] | None:
    if arguments.start is None and arguments.end is None:
        return None
    like = retriever.spans_["start"]
    ends = {"--from": arguments.start, "--to": arguments.end}
    start, end = (None if text is None else as_time(text, pd.Index(like), flag) for flag, text in ends.items())
    return start, end


def _compared(pattern: pd.DataFrame, channels: list[str] | None, own: list[Any], name: str) -> pd.DataFrame:
    """The columns of the pattern that are compared, named as the channels of the series."""
    labels = {str(label): label for label in own}
    for channel in channels or []:
        _among(channel, labels, "--channels: there is no channel")
    columns = list(map(str, pattern.columns))
    chosen = channels or [label for label in labels if label in columns] or list(labels)
    if set(chosen) <= set(columns):
        shown = pattern.set_axis(columns, axis=1)[chosen]
    elif len(chosen) == len(columns):
        note(f"note: {listing(columns)} is compared with {listing(chosen)}")
        shown = pattern
    else:
        raise CommandError(
            f"{name} has the columns {listing(columns)}, the series {listing(labels)}. Name them alike, or say with "
            "--channels what its columns are."
        )
    return shown.set_axis([labels[channel] for channel in chosen], axis=1)
