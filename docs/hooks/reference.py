"""Reference pages, generated from the source: commands, settings and the Python API."""

__all__ = [
    "PACKAGE",
    "PACKAGES",
    "api_page",
    "commands_page",
    "public_names",
    "settings_page",
    "summary",
    "table",
]

import ast
import inspect
import re
import types
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeGuard, Union, get_args, get_origin

import typer
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from mivae_cli.cli import app
from mivae_cli.config.resolve import describe_preset, preset_kind, preset_names
from mivae_cli.config.run import RunConfig

PACKAGE = Path(__file__).parents[2] / "mivae_cli"
NAMES: dict[object, str] = {
    int: "integer",
    float: "number",
    str: "text",
    bool: "`true`, `false`",
}
PACKAGES = ("mivae_cli", "mivae_cli.estimators")  # whose public names have pages
HEADS = ("Functions", "Classes", "Modules", "Errors")
SETTINGS = """
Set any key with `--set KEY=VALUE`, in a TOML file (`mivae config init`), or with `settings=` in
Python. `none` means that a setting has no value. This page is generated from the program.
"""


def commands_page() -> str:
    """Returns the page of all commands and their options."""
    group: Any = typer.main.get_command(app)
    return "\n\n".join(
        [
            "# Commands",
            "This page is generated from the program. `mivae COMMAND --help` prints the same.",
            *_command("mivae", group),
        ]
    )


def _command(path: str, command: Any) -> Iterator[str]:  # noqa: ANN401  # typer's own classes
    if path != "mivae":
        yield f"## {path}"
    yield _help(command.help or "")
    arguments = [each for each in command.params if each.param_type_name == "argument"]
    options = [each for each in command.params if each.param_type_name != "argument"]
    if path != "mivae":
        usage = [path, *(["[OPTIONS]"] if options else []), *map(_metavar, arguments)]
        if not hasattr(command, "commands"):
            yield f"```text\n{' '.join(usage)}\n```"
    panels: dict[str, list[Any]] = {}
    for option in options:
        panels.setdefault(getattr(option, "rich_help_panel", None) or "Options", []).append(option)
    if arguments:
        yield table(
            ("argument", "description"),
            [(f"`{_metavar(each)}`", _help(each.help or "")) for each in arguments],
        )
    for panel, members in panels.items():
        if panel != "Options":
            yield f"**{panel}**"
        rows = [(_option(each), _described(each), _default(each.default)) for each in members]
        if any(default for _, _, default in rows):
            yield table(("option", "description", "default"), rows)
        else:
            yield table(("option", "description"), [row[:2] for row in rows])
    for name, inner in getattr(command, "commands", {}).items():
        yield from _command(f"{path} {name}", inner)


def _metavar(argument: Any) -> str:  # noqa: ANN401
    name = argument.metavar or argument.name.upper()
    return name if argument.required or name.startswith("[") else f"[{name}]"


def _option(option: Any) -> str:  # noqa: ANN401
    names = [*option.opts, *option.secondary_opts]
    flag = getattr(option, "is_flag", False)
    value = "" if flag else f" {option.metavar or _type(option)}"
    return ", ".join(f"`{name}{value}`" for name in sorted(names, key=len, reverse=True))


def _type(option: Any) -> str:  # noqa: ANN401
    found = option.type_descriptor.annotation
    if get_origin(found) is list:
        (found,) = get_args(found)
    return {int: "N", float: "X", Path: "PATH"}.get(found, "TEXT")


def _described(option: Any) -> str:  # noqa: ANN401
    least, most = getattr(option, "min", None), getattr(option, "max", None)
    bounds = ""
    if least is not None and most is not None:
        bounds = f" Range: {_number(least)} to {_number(most)}."
    repeat = " Can be repeated." if option.multiple and "repeat" not in option.help.lower() else ""
    return _help(option.help or "") + bounds + repeat


def _default(value: object) -> str:
    return "" if value in (None, False, [], ()) else f"`{value}`"


def _number(value: float) -> str:
    if value == 2**63 - 1:
        return "2^63^ - 1"
    return f"{int(value) if value == int(value) else value:,}"


def _help(text: str) -> str:
    """Returns a help text as Markdown: what rich would show in bold is code."""
    text = re.sub(r"\[bold\](.*?)\[/\]", r"`\1`", text).replace("\\[", "[")
    return re.sub(r"<(?=\w)", "&lt;", text)


def settings_page() -> str:
    """Returns the page of all settings, and of the presets."""
    presets = [(f"`{name}`", preset_kind(name), describe_preset(name)) for name in preset_names()]
    return "\n\n".join(
        [
            "# Settings",
            SETTINGS,
            *_section(RunConfig, ""),
            "## Presets",
            "`mivae presets NAME` prints the settings of a preset.",
            table(("preset", "kind", "description"), presets),
        ]
    )


def _section(model: type[BaseModel], prefix: str) -> Iterator[str]:
    simple, nested = [], []
    for name, info in model.model_fields.items():
        models = [each for each in _members(info.annotation) if _is_model(each)]
        key = f"{prefix}{name}"
        if models:
            nested.append((key, models, info))
        elif name != "kind":
            values = (f"`{key}`", _values(info), f"`{_toml(info.default)}`", _line(info))
            simple.append(values)
    if simple:
        yield table(("key", "values", "default", "description"), simple)
    for key, models, info in nested:
        yield f"{'##' if '.' not in key else '###'} {key}"
        yield _line(info)
        for each in models:
            if len(models) > 1 or "kind" in each.model_fields:
                kinds = get_args(each.model_fields["kind"].annotation)
                default = isinstance(info.default, each)
                yield (
                    " or ".join(f'`{key}.kind = "{kind}"`' for kind in kinds)
                    + (" (default)" if default else "")
                    + f": {summary(each.__doc__)}"
                )
            yield from _section(each, f"{key}.")


def _members(annotation: object) -> Iterator[object]:
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from _members(get_args(annotation)[0])
    elif origin in (Union, types.UnionType):
        for each in get_args(annotation):
            yield from _members(each)
    else:
        yield annotation


def _is_model(found: object) -> TypeGuard[type[BaseModel]]:
    return isinstance(found, type) and issubclass(found, BaseModel)


def _values(info: FieldInfo) -> str:
    names = []
    for each in _members(info.annotation):
        if get_origin(each) is Literal:
            names.append(", ".join(f"`{value}`" for value in get_args(each)))
        elif each is type(None):
            names.append("`none`")
        else:
            names.append(NAMES.get(each, str(each)))
    return " or ".join(names) + _bounds([*info.metadata, *_inner_metadata(info.annotation)])


def _inner_metadata(annotation: object) -> list[Any]:
    for each in (annotation, *get_args(annotation)):
        if get_origin(each) is Annotated:
            metadata = get_args(each)[1:]
            return [m for found in metadata for m in getattr(found, "metadata", [found])]
    return []


def _bounds(metadata: list[Any]) -> str:
    signs = {"gt": ">", "ge": "≥", "lt": "<", "le": "≤"}
    found = [
        f"{sign} {_number(getattr(each, name))}"
        for name, sign in signs.items()
        for each in metadata
        if getattr(each, name, None) is not None
    ]
    return f", {', '.join(found)}" if found else ""


def _line(info: FieldInfo) -> str:
    return " ".join((info.description or "").split())


def _toml(value: object) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else f"{value}"


def public_names(package: str) -> list[str]:
    """Returns `__all__` of a package, read without importing it."""
    path = PACKAGE.parent / package.replace(".", "/") / "__init__.py"
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return [str(each) for each in ast.literal_eval(node.value)]
    return []


def api_page(title: str, introduction: str, package: str) -> str:
    """Returns the page of a package's public names: functions, classes, modules and errors."""
    sections = [f"# {title}", introduction]
    for head, names in sorted(_grouped(package).items(), key=lambda item: HEADS.index(item[0])):
        sections += [f"## {head}", *(f"::: {package}.{name}" for name in names)]
    return "\n\n".join(sections)


def _grouped(package: str) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for name in public_names(package):
        if name.startswith("__") or f"{package}.{name}" in PACKAGES:
            continue
        folder = PACKAGE.parent / package.replace(".", "/")
        if (folder / name).is_dir() or (folder / f"{name}.py").is_file():
            head = "Modules"
        elif name.endswith("Error"):
            head = "Errors"
        else:
            head = "Functions" if name.islower() else "Classes"
        groups.setdefault(head, []).append(name)
    return groups


def summary(docstring: str | None) -> str:
    """Returns the first paragraph as one line."""
    return " ".join(inspect.cleandoc(docstring or "").partition("\n\n")[0].split())


def table(heads: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """Returns a table of Markdown."""
    lines = [heads, ("---",) * len(heads), *rows]
    return "\n".join(
        "| " + " | ".join(" ".join(cell.replace("|", "\\|").split()) for cell in row) + " |"
        for row in lines
    )
