"""Fitted networks as ONNX files, which run without tsrec, torch and Python: :func:`export_onnx`."""

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tsrec.frames.checks import check_folder
from tsrec.interop._declared import DeclaredModule
from tsrec.interop.modules import to_torch
from tsrec.kernels.plain import plain_operators

__all__ = ["export_onnx"]

# Beyond it a file cannot hold its own weights.
_LARGEST_FILE = 1 << 31
_TOLERANCE = 1e-4
_BATCHES = (1, 3)


def _runtime() -> ModuleType:
    try:
        import onnx  # noqa: F401 - torch writes with it and with onnxscript
        import onnxruntime
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise ImportError(
            f"export_onnx: the package {error.name} is needed. Install it with: pip install 'tsrec[onnx]'"
        ) from error
    return onnxruntime


def export_onnx(
    est: Any, path: str | os.PathLike, *, opset: int = 20, length: int | None = None, check: bool = True
) -> DeclaredModule:
    """Write a fitted network as an ONNX file, from data in its own units to answers in them.

    Parameters
    ----------
    est : estimator or DeclaredModule
        As :func:`tsrec.to_torch` takes it, or what it gave.
    path : str or path
        The file to write, ending in ".onnx" by custom; an existing one is replaced.
    opset : int, default 20
        Version of ONNX's operators, at least 18.
    length : int, optional
        As in :func:`tsrec.to_torch`.
    check : bool, default True
        Run the file by onnxruntime on random data with holes, of one and of three rows, and compare with the module.

    Returns
    -------
    DeclaredModule
        The module that was written: ``describe()`` tells the inputs and outputs of the file, by name.

    Raises
    ------
    ImportError
        Without the packages of ``tsrec[onnx]``.
    ValueError, TypeError
        If there is no network, or one that cannot be written.
    FileNotFoundError
        If the folder of the path does not exist.
    RuntimeError
        If onnxruntime answers otherwise than the module, by more than 1e-4 of the size of the answers.

    Notes
    -----
    The first size of all tensors is free, other sizes are fixed. Sessions of onnxruntime take float32 and int64.

    Examples
    --------
    >>> import numpy as np, onnxruntime, tsrec  # doctest: +SKIP
    >>> forecaster = tsrec.MLPForecaster(horizon=12).fit(y)  # doctest: +SKIP
    >>> module = tsrec.export_onnx(forecaster, "sales.onnx")  # doctest: +SKIP
    >>> context = y.to_numpy(np.float32)[-module.context :].reshape(1, -1, 1)  # doctest: +SKIP
    >>> onnxruntime.InferenceSession("sales.onnx").run(["forecast"], {"context": context})  # doctest: +SKIP
    """
    runtime = _runtime()
    check_folder(path)
    if length is not None and isinstance(est, DeclaredModule):
        raise ValueError(f"length: found {length!r}, but the module has one. Leave it out, or give the estimator.")
    module = est if isinstance(est, DeclaredModule) else to_torch(est, length=length)
    with _quiet():
        program = torch.export.export(module, (), module.example(), dynamic_shapes=module.dynamic_shapes())
        written = torch.onnx.export(
            program.run_decompositions(plain_operators()),
            input_names=module.input_names,
            output_names=module.output_names,
            opset_version=opset,
            dynamo=True,
            verbose=False,
        )
    assert written is not None
    _without_copies(written.model)
    size = sum(tensor.numel() * tensor.element_size() for tensor in module.state_dict().values())
    if check and size < _LARGEST_FILE:
        # Nothing is written that answers otherwise.
        _compare(module, runtime.InferenceSession(written.model_proto.SerializeToString()))
    written.save(path, external_data=size >= _LARGEST_FILE)
    if check and size >= _LARGEST_FILE:
        _compare(module, runtime.InferenceSession(os.fspath(path)))
    return module


@contextmanager
def _quiet() -> Iterator[None]:
    """Leave out what torch's own parts tell about each other, and of packages that are not needed."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _without_copies(model: Any) -> None:
    """Keep one of weights that are equal, as networks from several seeds have them, and no traces of this machine."""
    from onnx_ir.passes import common

    common.DeduplicateInitializersPass(size_limit=1 << 40)(model)
    common.ClearMetadataAndDocStringPass()(model)


def _compare(module: DeclaredModule, session: Any) -> None:
    """Refuse a file that answers otherwise than the module."""
    for batch in _BATCHES:
        given = _with_holes(module.example(batch))
        with torch.no_grad():
            wanted = module(**given)
        found = session.run(list(module.output_names), {name: tensor.numpy() for name, tensor in given.items()})
        for name, answer in zip(module.output_names, found, strict=True):
            _check_near(name, answer, wanted[name])


def _with_holes(given: dict[str, Tensor]) -> dict[str, Tensor]:
    """Inputs without some numbers, as data are: missing values go other ways through a network."""
    for tensor in given.values():
        if tensor.is_floating_point():
            tensor.view(-1)[3::7] = torch.nan
    return given


def _check_near(name: str, found: np.ndarray, wanted: Tensor) -> None:
    truth = wanted.numpy()
    off = np.abs(found - truth) / (1 + np.abs(truth))
    if not off.max(initial=0.0) <= _TOLERANCE:
        raise RuntimeError(
            f"export_onnx: {name} of onnxruntime is off that of the module by {off.max():.2g} of its size. Report it, "
            "with the versions of torch, onnxscript and onnxruntime."
        )
