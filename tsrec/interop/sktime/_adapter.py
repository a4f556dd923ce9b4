"""What all adapters share: the parameters of an estimator of this library, and the class made from it."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import tsrec

_DOC = """\
{summary}

`tsrec.{name}` as an estimator of sktime. {kind}

Parameters
----------
{parameters}

Examples
--------
>>> from tsrec.interop.sktime import {name}
{example}
"""


class Adapter:
    """An estimator of sktime that holds one of ours; mixed into sktime's base classes.

    `adapted` makes the classes; they have ``_adapts``, the class of ours, and ``_trials``, parameters for tests.
    """

    _adapts: type
    _trials: tuple[dict[str, Any], ...]
    get_params: Callable[..., dict[str, Any]]

    @classmethod
    def get_test_params(cls, parameter_set: str = "default") -> list[dict[str, Any]]:  # noqa: ARG003 - sktime's name
        """Parameters of small estimators, for tests.

        Parameters
        ----------
        parameter_set : str
            There is one set for all.

        Returns
        -------
        list of dict
        """
        return [dict(params) for params in cls._trials]

    def _unfitted(self) -> Any:
        """One of ours, with these parameters."""
        return self._adapts(**{name: _own(value) for name, value in self.get_params(deep=False).items()})


def _own(value: Any) -> Any:
    """A parameter as our estimators take it: an adapter among them becomes one of ours."""
    if isinstance(value, Adapter):
        return value._unfitted()
    if isinstance(value, Mapping):
        return {key: _own(part) for key, part in value.items()}
    return value


def adapted(
    name: str, base: type, trials: Sequence[dict[str, Any]], example: str, tags: Mapping[str, Any] | None = None
) -> type:
    """The adapter of one estimator.

    Parameters
    ----------
    name : str
        Of the estimator, and of its adapter.
    base : type
        Adapter of this kind of estimators.
    trials : sequence of dict
        Parameters for tests, plain ones first.
    example : str
        Lines of a doctest; ``{make}`` stands for a call with the first parameters for tests.
    tags : mapping, optional
        Those of sktime that differ from the tags of `base`.

    Returns
    -------
    type
        A class with the constructor of ours.
    """
    ours = getattr(tsrec, name)
    signature = inspect.signature(ours.__init__)

    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:  # noqa: N807
        given = signature.bind(self, *args, **kwargs)
        given.apply_defaults()
        for parameter in list(signature.parameters)[1:]:
            setattr(self, parameter, given.arguments[parameter])
        base.__init__(self)  # type: ignore[misc]

    # What sktime, help() and editors read the parameters from.
    __init__.__signature__ = signature  # type: ignore[attr-defined]
    body = {
        "__init__": __init__,
        "__doc__": _doc(name, ours, base, example.replace("{make}", _call(name, trials[0]))),
        "__module__": "tsrec.interop.sktime",
        "_adapts": ours,
        "_trials": tuple(trials),
        "_tags": {**_randomness(signature), **(tags or {})},
    }
    return type(name, (base,), body)


def _randomness(signature: inspect.Signature) -> dict[str, Any]:
    drawn = "random_state" in signature.parameters
    return {"capability:random_state": drawn, "property:randomness": "derandomized" if drawn else "deterministic"}


def _call(name: str, params: dict[str, Any]) -> str:
    return f"{name}({', '.join(f'{key}={value!r}' for key, value in params.items())})"


def _doc(name: str, ours: type, base: type, example: str) -> str:
    """Documentation of an adapter: what ours is, what adapters of its kind do, parameters of ours, an example."""
    summary, _, rest = inspect.cleandoc(ours.__doc__ or "").partition("\n\n")
    parameters = rest.partition("Parameters\n----------\n")[2].partition("\n\nAttributes\n")[0]
    kind = inspect.cleandoc(base.__doc__ or "").partition("\n\n")[2]
    return _DOC.format(summary=summary, name=name, kind=kind, parameters=parameters, example=example)
