"""The package itself: cheap to import, complete, documented, and what is written about it is true."""

import ast
import importlib
import re
import subprocess
import sys
from dataclasses import is_dataclass
from pathlib import Path
from types import FunctionType

import pytest
from numpydoc.validate import validate

import tsrec

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "tsrec").rglob("*.py"))


def test_import_loads_neither_torch_nor_scikit_learn():
    code = "import sys, tsrec; print([m for m in ('torch', 'sklearn', 'pandas', 'numpy', 'numba') if m in sys.modules])"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown.strip() == "[]"


def test_baselines_do_not_load_torch():
    fit = "tsrec.SeasonalNaiveForecaster().fit(np.ones(9)).predict()"
    code = f"import sys, numpy as np, tsrec; {fit}; print('torch' in sys.modules)"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown.strip() == "False"


def test_every_public_name_is_there():
    for name in tsrec.__all__:
        assert getattr(tsrec, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'absent'"):
        tsrec.absent  # noqa: B018


def test_files_and_functions_stay_short():
    for path in SOURCES:
        text = path.read_text()
        assert text.count("\n") <= 400, path
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef):
                first = node.body[1] if len(node.body) > 1 and ast.get_docstring(node) else node.body[0]
                # Parts of a compiled kernel share registers: cut up, each would take two dozen arguments.
                limit = 70 if any("jit" in ast.unparse(decorator) for decorator in node.decorator_list) else 40
                assert node.end_lineno - first.lineno < limit, f"{path}:{node.name}"


def public_objects():
    """Everything a room offers, and the methods of its classes; records document their fields as attributes instead."""
    for room in ("", *(f".{name}" for name in tsrec._ROOMS)):
        module = importlib.import_module(f"tsrec{room}")
        for name in getattr(module, "__all__", ()):
            value = getattr(module, name)
            # A reference takes what the fast form beside it takes.
            if not callable(value) or is_dataclass(value) or hasattr(value, "_fields") or name.endswith("_reference"):
                continue
            yield f"{module.__name__}.{name}"
            if isinstance(value, type):
                methods = (m for m, f in vars(value).items() if isinstance(f, FunctionType) and not m.startswith("_"))
                yield from (f"{module.__name__}.{name}.{method}" for method in methods)


@pytest.mark.parametrize("name", sorted(set(public_objects())))
def test_docstrings_follow_numpydoc(name):
    # The order and form of sections, and every parameter documented; style of wording is left to people.
    wanted = {"GL01", "GL02", "GL05", "GL06", "GL07", "GL08", "GL10", "SS01", "PR01", "PR02", "PR03", "PR10"}
    found = [f"{code} {text}" for code, text in validate(name)["errors"] if code in wanted]
    assert not found


def test_readme_names_what_exists():
    text = (ROOT / "README.md").read_text()
    for target in re.findall(r"make ([a-z-]+)", text):
        assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.M), target
    for path in re.findall(r"\]\(([a-zA-Z_./0-9-]+)\)", text):
        assert (ROOT / path).exists(), path
