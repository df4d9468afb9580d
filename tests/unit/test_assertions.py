"""Assertions tell the type checker what a type is; nothing depends on them, as python -O shows."""

import ast
from pathlib import Path

import pytest

import mivae_cli

MODULES = sorted(Path(mivae_cli.__file__).parent.rglob("*.py"))


def narrows(test: ast.expr) -> bool:
    """Tells whether an assertion says of a value that it is not None, or of some type."""
    match test:
        case ast.Compare(
            left=ast.Name() | ast.Attribute(), ops=[ast.IsNot()], comparators=[ast.Constant(None)]
        ):
            return True
        case ast.Call(func=ast.Name("isinstance"), args=[ast.Name() | ast.Attribute(), _]):
            return True
        case _:
            return False


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x is not None", True),
        ("self.x is not None", True),
        ("isinstance(x, int | str)", True),
        ("run.id == identity", False),
        ("x", False),
        ("x is None", False),
        ("load(x) is not None", False),
        ("isinstance(read(x), str)", False),
        ("x is not None and y > 0", False),
        ("issubclass(x, int)", False),
    ],
)
def test_what_narrows_a_type(text: str, expected: bool) -> None:
    [statement] = ast.parse(f"assert {text}").body
    assert isinstance(statement, ast.Assert)
    assert narrows(statement.test) is expected


def test_no_assertion_guards_anything_but_types() -> None:
    found = [
        f"{path.name}:{node.lineno}: {ast.unparse(node)}"
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Assert) and not narrows(node.test)
    ]
    assert len(MODULES) > 100
    assert found == []


def test_nothing_asks_whether_assertions_are_on() -> None:
    for path in MODULES:
        assert "__debug__" not in path.read_text(encoding="utf-8"), path
