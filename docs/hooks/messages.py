"""The page of messages: every error, warning and note, read from the source with `ast`.

A message is the text of an exception, of a call that prints to stderr, or of an item of a list of
warnings. All other texts of three words or more are listed as parts of messages, so that the page
is complete. Values that are only known when the program runs appear as `<name>`.
"""

__all__ = ["messages_page"]

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from mivae_cli import errors, limits

PACKAGE = Path(__file__).parents[2] / "mivae_cli"
PRINTED = {"note": "note", "warn": "warning", "complain": "error"}
COLLECTED = {"warnings", "notes", "remarks"}
PROGRAMMING_ERRORS = {"AssertionError", "AttributeError", "RuntimeError"}
LIMITS = {name: value for name, value in vars(limits).items() if isinstance(value, int | float)}
CODES = {
    name: found.exit_code
    for name, found in vars(errors).items()
    if isinstance(found, type) and issubclass(found, errors.MivaeError)
}
HEADS = {
    1: "a sweep with failed runs, or not enough memory",
    2: "usage or configuration",
    3: "data",
    4: "run or checkpoint",
    5: "diverged training",
    6: "results that cannot be stored",
}
INTRODUCTION = """
Every error ends the program with an exit code and one line on stderr. Warnings and notes do not
change the exit code. Words in angle brackets stand for values. This page is generated from the
source.
"""
DETAILS = """
Reasons, places and advice that complete other messages, and labels of tables.
"""
WARNING_MODULES = {
    "config/epoch_budget",
    "estimators/report",
    "evaluation/consistency",
    "experiments/comparability",
}
OPTION_KEYWORDS = {"help", "metavar", "rich_help_panel"}  # listed on the page of commands
Found = dict[str | int, set[tuple[str, str]]]


def messages_page() -> str:
    """Returns the page."""
    found: Found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        module = path.relative_to(PACKAGE).with_suffix("").as_posix()
        for kind, text in _messages(tree):
            if re.sub(r"<[^>]*>", "", text).strip(" :;,.%()"):
                found.setdefault(kind, set()).add((" ".join(text.split()), module))
        _add_parts(found, tree, module)
    sections = [
        "# Messages",
        INTRODUCTION,
        _exit_codes(),
    ]
    kinds: list[str | int] = [*sorted(each for each in found if isinstance(each, int))]
    for kind in [*kinds, "warning", "note"]:
        head = f"Errors with exit code {kind}" if isinstance(kind, int) else f"{kind}s".title()
        sections += [f"## {head}", _table(found.get(kind, set()))]
    details = found.get("detail", set())
    sections += [
        "## Details",
        DETAILS,
        _table(details),
    ]
    return "\n\n".join(sections)


def _add_parts(found: Found, tree: ast.Module, module: str) -> None:
    """Adds the texts of a module that are in no message yet."""
    known = "\n".join(text for rows in found.values() for text, place in rows if place == module)
    kind = "warning" if module in WARNING_MODULES else "detail"
    for text in _literals(tree):
        line = " ".join(text.split())
        if line.count(" ") >= 2 and not re.search(r"[\\{}|^*]", line) and line not in known:
            found.setdefault(kind, set()).add((line, module))


def _literals(node: ast.AST) -> Iterator[str]:
    """Yields the texts below a node, apart from docstrings and the help of options."""
    match node:
        case ast.Expr(value=ast.Constant()):
            return
        case ast.keyword(arg=name) if name in OPTION_KEYWORDS:
            return
        case ast.JoinedStr():
            yield _joined(node, {})
        case ast.Constant(value=str(text)):
            yield text
        case _:
            for child in ast.iter_child_nodes(node):
                yield from _literals(child)


def _exit_codes() -> str:
    rows = [
        ("0", "success"),
        *((str(code), what) for code, what in HEADS.items()),
        (
            str(errors.INTERNAL_ERROR),
            "internal error; the message names a file to attach to a report",
        ),
        ("129, 130, 143", "stopped by a closed terminal, Ctrl-C or SIGTERM"),
    ]
    return "## Exit codes\n\n| code | meaning |\n| --- | --- |\n" + "\n".join(
        f"| {code} | {what} |" for code, what in rows
    )


def _messages(tree: ast.Module) -> Iterator[tuple[str | int, str]]:
    functions = {each.name: each for each in ast.walk(tree) if isinstance(each, ast.FunctionDef)}
    constants = {
        ast.unparse(each.targets[0]): each.value
        for each in tree.body
        if isinstance(each, ast.Assign)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            name = ast.unparse(node.exc.func).rpartition(".")[2]
            if name in functions or name in PROGRAMMING_ERRORS:
                continue  # the function's own errors are found where it builds them
            for text in _texts(node.exc, functions, constants, set()):
                yield CODES.get(name, "detail"), text
        elif isinstance(node, ast.Call):
            name = ast.unparse(node.func).rpartition(".")[2]
            owner = ast.unparse(node.func).rpartition(".")[0].rpartition(".")[2]
            if name in PRINTED:
                for text in _texts(node, functions, constants, set()):
                    warning = text.startswith("warning: ")
                    yield "warning" if warning else PRINTED[name], text.removeprefix("warning: ")
            elif owner in COLLECTED and name in {"append", "extend"}:
                for text in _texts(node, functions, constants, set()):
                    yield "warning" if owner == "warnings" else "note", text
            elif name in CODES and not _is_raised(tree, node):
                for text in _texts(node, functions, constants, set()):
                    yield CODES[name], text


def _is_raised(tree: ast.Module, call: ast.Call) -> bool:
    return any(isinstance(each, ast.Raise) and each.exc is call for each in ast.walk(tree))


def _texts(
    node: ast.AST,
    functions: dict[str, ast.FunctionDef],
    constants: dict[str, ast.expr],
    seen: set[str],
) -> Iterator[str]:
    """Yields the texts of an expression: of alternatives, and of functions of the same module."""
    match node:
        case ast.Constant(value=str(text)):
            if " " in text.strip():
                yield text
        case ast.JoinedStr():
            text = _joined(node, constants)
            if " " in text.strip():
                yield text
        case ast.BinOp(op=ast.Add()):
            sides = [
                list(_texts(side, functions, constants, seen)) for side in (node.left, node.right)
            ]
            if any(sides):
                first, second = (
                    texts or [_placeholder(side, constants)]
                    for texts, side in zip(sides, (node.left, node.right), strict=True)
                )
                yield from (f"{left}{right}" for left in first for right in second)
        case ast.IfExp():
            yield from _texts(node.body, functions, constants, seen)
            yield from _texts(node.orelse, functions, constants, seen)
        case ast.Name(id=name) if name in constants:
            yield from _texts(constants[name], functions, constants, seen)
        case ast.Call():
            name = ast.unparse(node.func).rpartition(".")[2]
            if name in functions and name not in seen:
                for inner in ast.walk(functions[name]):
                    if isinstance(inner, ast.Return | ast.Yield) and inner.value is not None:
                        yield from _texts(inner.value, functions, constants, seen | {name})
            else:
                for argument in node.args:
                    yield from _texts(argument, functions, constants, seen)
        case ast.List() | ast.Tuple() | ast.GeneratorExp() | ast.ListComp():
            parts = node.elts if isinstance(node, ast.List | ast.Tuple) else [node.elt]
            for part in parts:
                yield from _texts(part, functions, constants, seen)


def _joined(node: ast.JoinedStr, constants: dict[str, ast.expr]) -> str:
    parts = []
    for value in node.values:
        match value:
            case ast.Constant(value=str(text)):
                parts.append(text)
            case ast.FormattedValue(value=inner):
                parts.append(_placeholder(inner, constants))
    return "".join(parts)


def _placeholder(node: ast.expr, constants: dict[str, ast.expr]) -> str:
    """Returns a value's name, or the value where it is a constant of the module."""
    match node:
        case ast.Name(id=name) if isinstance(value := constants.get(name), ast.Constant):
            return str(value.value)
        case ast.Name(id=name) | ast.Attribute(attr=name) if name in LIMITS:
            return f"{LIMITS[name]:,}"
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return f"<{name.strip('_').replace('_', ' ').lower()}>"
        case ast.Call(
            args=[
                ast.Name()
                | ast.Attribute()
                | ast.Subscript()
                | ast.Call()
                | ast.GeneratorExp() as first,
                *_,
            ]
        ):
            return _placeholder(first, constants)
        case ast.Call(func=function) | ast.Subscript(value=function):
            return _placeholder(function, constants)
        case ast.IfExp(
            body=ast.Constant(value=str(first)), orelse=ast.Constant(value=str(second))
        ):
            return first or second
    return "<value>"


def _table(rows: set[tuple[str, str]]) -> str:
    lines = ["| message | module |", "| --- | --- |"]
    for text, module in sorted(rows, key=lambda row: (row[1], row[0])):
        shown = text.strip("; ").replace("|", "\\|").replace("`", "'")
        lines.append(f"| `{shown}` | `{module}` |")
    return "\n".join(lines)
