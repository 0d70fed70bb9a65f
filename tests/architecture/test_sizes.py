"""Sizes to live in: files, functions and parameter lists that can be seen at once."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from statistics import median

ROOT = Path(__file__).parents[2]
MODULES = sorted([*(ROOT / "gateway").rglob("*.py"), *(ROOT / "plugins").rglob("*.py")])

Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions() -> Iterator[tuple[str, Function]]:
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, Function):
                yield f"{path.relative_to(ROOT)}:{node.lineno} {node.name}", node


def parameters(function: Function) -> int:
    """How many there are to fill in by their place: ``self`` and ``cls`` are not."""
    names = [arg.arg for arg in (*function.args.posonlyargs, *function.args.args)]
    return len([name for name in names if name not in ("self", "cls")])


def options(function: Function) -> int:
    """How many are given by name only."""
    return len(function.args.kwonlyargs)


def test_no_file_is_longer_than_350_lines_and_half_are_within_120() -> None:
    lengths = {path: len(path.read_text().splitlines()) for path in MODULES}
    assert {str(path): length for path, length in lengths.items() if length > 350} == {}
    assert median(lengths.values()) <= 120


def test_functions_fit_a_screen() -> None:
    lengths = {name: (node.end_lineno or node.lineno) - node.lineno + 1 for name, node in functions()}
    assert {name: length for name, length in lengths.items() if length > 60} == {}


def test_no_function_has_more_than_five_parameters_or_six_with_those_by_name() -> None:
    counts = {name: (parameters(node), options(node)) for name, node in functions()}
    assert {name: count for name, count in counts.items() if count[0] > 5 or sum(count) > 6} == {}


def test_every_module_says_what_it_is_for() -> None:
    silent = [str(path) for path in MODULES if not ast.get_docstring(ast.parse(path.read_text()))]
    assert silent == []


def test_there_is_no_place_for_everything() -> None:
    assert [path for path in MODULES if path.stem in ("utils", "util", "helpers", "misc", "common")] == []
