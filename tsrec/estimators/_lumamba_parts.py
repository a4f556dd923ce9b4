"""Numbers of a LuMamba from the parameters of its estimator, and frames from what it answers."""

from collections.abc import Callable
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from tsrec.estimators._parameters import (
    check_choice,
    check_flag,
    check_not_negative,
    check_positive,
    check_share,
    check_verbose,
    check_whole,
)
from tsrec.estimators._recording_batches import Prepared
from tsrec.estimators._recordings import NORMALISATIONS
from tsrec.frames import Recordings
from tsrec.layers.augment import AUGMENTATIONS
from tsrec.layers.lumamba import LuMamba, either
from tsrec.layers.lumamba_tasks import Recipe, hidden_cells
from tsrec.layers.luna import NORMS, POSITION_NORMS
from tsrec.layers.mamba import MERGES
from tsrec.training import make_generator, resolve_device

# Width, queries and layers.
SIZES = {"tiny": (64, 6, 2), "small": (64, 6, 8)}


def check_parameters(estimator: Any) -> None:
    """Refuse parameters of an encoder that it could not use."""
    e = estimator
    check_choice(e, "size", (*SIZES, None))
    for name, unit in (("width", 16), ("n_queries", 1), ("n_layers", 1), ("patch_size", 4)):
        value = getattr(e, name)
        if value is None and name != "patch_size":
            if e.size is None:
                raise ValueError(f"{name}: found None. Give a number, or a size, one of {list(SIZES)}.")
            continue
        check_whole(e, name, least=unit)
        if value % unit:
            raise ValueError(f"{name}: found {value}. Give a multiple of {unit}.")
    check_whole(e, "n_heads", "d_state", "expand", "n_local", "n_global", "batch_size")
    if numbers(e)[0] % e.n_heads:
        raise ValueError(f"n_heads: found {e.n_heads}. Give a number that divides the width, {numbers(e)[0]}.")
    check_whole(e, "max_epochs", least=0, auto=True)
    check_whole(e, "local_patches", "global_patches", auto=True)
    for name in ("sfreq", "window", "learning_rate", "sigreg_n_ref"):
        check_positive(e, name)
    for name in ("mask_ratio", "dropout", "channel_dropout"):
        check_share(e, name)
    weights = ("visible_weight", "query_weight", "lejepa_weight", "lejepa_lambda", "weight_decay")
    check_not_negative(e, *weights)
    check_flag(e, "bidirectional", "drop_unknown")
    choices = {
        "merge": MERGES,
        "normalisation": NORMALISATIONS,
        "norm": NORMS,
        "position_norm": POSITION_NORMS,
        "augment": AUGMENTATIONS,
    }
    for name, allowed in choices.items():
        check_choice(e, name, allowed)
    _check_filters(e)
    check_verbose(e)
    resolve_device(e.device)


def _check_filters(estimator: Any) -> None:
    band, notch = estimator.band, estimator.notch
    pair = isinstance(band, tuple | list) and len(band) == 2
    if band is not None and not (pair and all(edge is None or isinstance(edge, Real) for edge in band)):
        raise ValueError(f"band: found {band!r}. Give (low, high) in Hz, None for an open end; or None.")
    if notch is not None:
        check_positive(estimator, "notch")
    places = estimator.positions
    if not (places is None or isinstance(places, dict) or (isinstance(places, str) and places == "none")):
        raise ValueError(
            f"positions: found {places!r}. Give a dict of name to (x, y, z), 'none' for channels on no scalp, or None "
            "for the built-in table."
        )
    names = estimator.ch_names
    if not (names is None or isinstance(names, str) or hasattr(names, "__iter__")):
        raise TypeError(f"ch_names: found {names!r}. Give a list of names, one for each channel, or None.")


def numbers(estimator: Any) -> tuple[int, int, int]:
    """Width, queries and layers: what is given, else what the size says."""
    given = (estimator.width, estimator.n_queries, estimator.n_layers)
    usual = SIZES.get(estimator.size, given)
    width, queries, layers = (int(b if a is None else a) for a, b in zip(given, usual, strict=True))
    return width, queries, layers


def architecture(estimator: Any) -> dict[str, Any]:
    """Arguments of :class:`tsrec.layers.lumamba.LuMamba`, for an encoder that has read its recordings."""
    width, n_queries, n_layers = numbers(estimator)
    inside = estimator.normalisation_
    return {
        "patch": int(estimator.patch_size),
        "width": width,
        "n_queries": n_queries,
        "n_layers": n_layers,
        **{name: int(getattr(estimator, name)) for name in ("n_heads", "d_state", "expand")},
        "bidirectional": bool(estimator.bidirectional),
        "merge": estimator.merge,
        "normalise": None if inside in ("channel", "shared") else inside,
        "norm": estimator.norm,
        "position_norm": estimator.position_norm,
        # Numbers of names begin with 1.
        "n_unplaced": 0 if estimator.on_scalp_ else len(estimator.channel_names_in_) + 1,
        "dropout": float(estimator.dropout),
    }


def piece_patches(estimator: Any, longest: int) -> int:
    """Patches of a window to learn from, where no recording has more than `longest` samples."""
    patch = int(estimator.patch_size)
    return max(min(round(estimator.window * estimator.sfreq / patch), longest // patch), 1)


def recipe(estimator: Any) -> Recipe:
    """Weights of the losses, for an encoder that has read its recordings."""
    e, whole = estimator, estimator.n_patches_
    names = ("mask_ratio", "visible_weight", "query_weight", "lejepa_weight", "lejepa_lambda")
    return Recipe(
        **{name: getattr(e, name) for name in (*names, "n_local", "n_global", "augment")},
        n_ref=float(e.sigreg_n_ref),
        local_patches=max(whole // 8, min(whole, 2)) if e.local_patches == "auto" else int(e.local_patches),
        global_patches=max(whole // 2, 1) if e.global_patches == "auto" else int(e.global_patches),
    )


def token_index(labels: pd.Index, counts: list[int], seconds: float, n_queries: int | None = None) -> pd.MultiIndex:
    """Index (recording, time) of tokens, or (recording, time, query)."""
    places = np.repeat(np.arange(len(labels)), counts)
    times = np.concatenate([np.arange(count) for count in counts]) * seconds
    each = 1 if n_queries is None else n_queries
    rows = labels[places.repeat(each)]
    levels = [rows.get_level_values(level) for level in range(rows.nlevels)]
    columns = [*levels, times.repeat(each)]
    names = [*(["recording"] if labels.nlevels == 1 and labels.name is None else labels.names), "time"]
    if n_queries is not None:
        columns.append(np.tile(np.arange(n_queries), len(times)))
        names.append("query")
    return pd.MultiIndex.from_arrays(columns, names=names)


def by_step(
    groups: list[Prepared],
    answers: Callable[[Prepared], np.ndarray],
    recordings: Recordings,
    seconds: float,
    n_queries: int | None = None,
) -> pd.DataFrame:
    """Frame of answers (n, n_steps, ..., n_channels) for each group, in the order of the recordings."""
    frames, owners = [], []
    for group in groups:
        found = answers(group)
        n, steps = found.shape[:2]
        index = token_index(recordings.labels[group.numbers], [steps] * n, seconds, n_queries)
        frames.append(pd.DataFrame(found.reshape(len(index), -1), index=index, columns=list(group.channels)))
        owners.append(group.numbers.repeat(len(index) // n))
    order = np.argsort(np.concatenate(owners), kind="stable")
    return pd.concat(frames).iloc[order] if len(frames) > 1 else frames[0]


def reconstructed(encoder: Any, groups: list[Prepared], recordings: Recordings, mask: Any) -> pd.DataFrame:
    """What the encoder makes of recordings, in their units: see ``LuMambaEncoder.reconstruct``."""
    inner: LuMamba = encoder.module_.encoder

    def signals(group: Prepared) -> np.ndarray:
        cells = _cells(mask, group, inner.patch, recordings.n_series)

        def ask(module: Any, batch: Any) -> Tensor:
            hidden = None if cells is None else cells[batch.series.cpu()].to(batch.context.device)
            cut, _ = inner.cut(batch.context)
            positions = inner.positions(batch.static, batch.variable)
            found, _ = module.reconstruct(cut.x, positions, batch.variable, either(cut.absent, hidden))
            return (found * cut.size + cut.level).flatten(2).mT

        return encoder._rows(group, ask).astype(np.float64) * group.size + group.level

    return by_step(groups, signals, recordings, 1 / encoder.sfreq_)


def _cells(mask: Any, group: Prepared, patch: int, n_recordings: int) -> Tensor | None:
    """Cells to hide, bool (n_recordings, C, S), by numbers of recordings."""
    if mask is None:
        return None
    shape = (group.values.shape[2], max(group.values.shape[1] // patch, 1))
    if isinstance(mask, Real) and not isinstance(mask, bool | np.bool_):
        if not 0 <= float(mask) < 1:
            raise ValueError(f"mask: found {mask!r}. Give a share from 0 on, below 1.")
        generator = make_generator(0)
        return hidden_cells((n_recordings, *shape), float(mask), per_sample=True, generator=generator)
    cells = np.asarray(mask)
    if cells.dtype != bool or cells.shape not in (shape, (n_recordings, *shape)):
        raise ValueError(
            f"mask: found {cells.dtype} of shape {cells.shape}. Give bools of shape {shape} (channels, patches), or "
            f"{(n_recordings, *shape)} with the recordings first, where all have the same channels and length."
        )
    return torch.from_numpy(np.broadcast_to(cells, (n_recordings, *shape)).copy())
