"""Messages of the library that name an option of the program also say what to write in Python."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import mivae_cli

ROOT = Path(mivae_cli.__file__).parent
# Modules whose messages only commands show, and advice to run a command
COMMANDS = {
    "config/epoch_budget.py",
    "config/grid.py",
    "config/resolve.py",
    "estimators/io/arrays.py",
    "estimators/io/column_choice.py",
    "estimators/io/delimiters.py",
    "estimators/io/pairs.py",
    "estimators/io/tables.py",
    "experiments/comparison.py",
    "experiments/latex.py",
    "reports/command.py",
    "runs/latest.py",
    "tracking/tensorboard.py",
    "tracking/trackio.py",
    "training/collapse.py",
    "training/divergence.py",
}
MODULES = [
    path
    for path in sorted(ROOT.rglob("*.py"))
    if path.relative_to(ROOT).parts[0] != "cli" and str(path.relative_to(ROOT)) not in COMMANDS
]
OPTION = re.compile(r"(^|[\s('])--[a-z]")
# "in Python", a command to copy, or the setting that the option changes
PYTHON = re.compile(r"in Python|mivae [a-z]+ --|\b(data|evaluation|training)\.[{a-z]")


def texts(path: Path) -> Iterator[str]:
    """Yields the strings of a module except docstrings, with {} for the values in them."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    inside = {
        id(part)
        for node in ast.walk(tree)
        if isinstance(node, ast.JoinedStr)
        for part in node.values
    }
    documented = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Module)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            parts = node.values
            yield "".join(
                str(part.value) if isinstance(part, ast.Constant) else "{}" for part in parts
            )
        elif isinstance(node, ast.Constant) and id(node) not in inside | documented:
            yield str(node.value)


def test_options_are_named_with_their_python_form() -> None:
    wrong = {
        (str(path.relative_to(ROOT)), text)
        for path in MODULES
        for text in texts(path)
        if OPTION.search(text) and not PYTHON.search(text)
    }
    assert wrong == set()


def test_no_message_cites_a_file_that_an_installed_package_lacks() -> None:
    cited = re.compile(r"\b(docs|benchmarks|examples|tests)/|README|CONTRIBUTING|CHANGELOG")
    found = [
        f"{path.relative_to(ROOT)}: {text}"
        for path in sorted(ROOT.rglob("*.py"))
        for text in texts(path)
        if cited.search(text)
    ]
    assert not found
