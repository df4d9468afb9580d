"""The pages of the fields of results, generated from their dataclasses."""

__all__ = ["fields_page"]

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from typing import Any

from reference import PACKAGE, summary, table

ATTRIBUTE = re.compile(r"^    (\w+): (.*(?:\n     +.*)*)", re.MULTILINE)


def fields_page(title: str, introduction: str, root: str) -> str:
    """Returns the page of a record's fields, and of the records inside it.

    Arguments:
        title: The title of the page.
        introduction: Its first paragraph.
        root: The name of the dataclass.
    """
    classes = dict(_dataclasses())
    sections, waiting, seen = [], [(root, "")], set[str]()
    while waiting:
        name, key = waiting.pop(0)
        node, source = classes[name]
        rows = []
        for field, kind, comment in _fields(node, source):
            inner = [each for each in re.findall(r"\w+", kind) if each in classes]
            here = f"{key}.{field}".lstrip(".")
            for each in inner:
                if each not in seen:
                    seen.add(each)
                    waiting.append((each, here + ("[]" if kind.startswith("list") else "")))
            comment = comment[:1].upper() + comment[1:]
            shown = " or ".join(_json_type(each.strip(), classes) for each in kind.split("|"))
            rows.append((f"`{field}`", shown, comment.strip()))
        head = f"## {name} {{ #{name.lower()} }}" if key else ""
        path = f"`{key}`: " if key else ""
        about = path + summary(ast.get_docstring(node)) if key else ""
        sections += [head, about, table(("field", "type", "description"), rows)]
    return "\n\n".join([f"# {title}", introduction, *sections])


def _json_type(kind: str, classes: dict[str, Any]) -> str:
    named = {"float": "number", "int": "integer", "str": "text", "None": "null", "bool": "boolean"}
    inner = re.fullmatch(r"(?:list|tuple)\[(\w+)(?:, \.\.\.)?\]", kind)
    if inner:
        name = _json_type(inner[1], classes)
        return (
            f"list of {name}"
            if inner[1] in classes
            else f"list of {name}s".replace("texts", "text")
        )
    return f"[{kind}](#{kind.lower()})" if kind in classes else named.get(kind, "text")


def _dataclasses() -> Iterator[tuple[str, tuple[ast.ClassDef, str]]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        if path.parent.name in ("evaluation", "estimators"):
            source = path.read_text(encoding="utf-8")
            for node in ast.parse(source).body:
                if isinstance(node, ast.ClassDef) and "dataclass" in ast.unparse(
                    node.decorator_list[0] if node.decorator_list else ast.Pass()
                ):
                    yield node.name, (node, source)


def _fields(node: ast.ClassDef, source: str) -> Iterator[tuple[str, str, str]]:
    """Yields name, type and description of fields.

    The description is in the section "Attributes" of the class, or in a comment after the field.
    """
    attributes = dict(re.findall(ATTRIBUTE, ast.get_docstring(node) or ""))
    comments = {
        token.start[0]: token.string.lstrip("# ")
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT
    }
    for line in node.body:
        if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name):
            name = line.target.id
            text = attributes.get(name) or comments.get(line.lineno, "")
            yield name, ast.unparse(line.annotation), " ".join(text.split()).rstrip(".")
