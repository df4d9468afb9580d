"""Hooks of MkDocs: generate the reference, and fail where a public name is undocumented."""

__all__ = ["on_config", "on_files"]

import logging
from typing import TYPE_CHECKING

import griffe
from mkdocs.structure.files import File

from fields import fields_page
from markup import DocstringMarkup
from messages import messages_page
from reference import PACKAGES, api_page, commands_page, public_names, settings_page

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files

LOG = logging.getLogger("mkdocs.hooks.mivae")  # warnings fail a strict build
EVALUATION = (
    "`mivae eval --json` prints one evaluation record; `eval.json` in a run directory has a list of "
    "them under `evaluations`. Quantities are in nats per sentence unless stated otherwise. `null` "
    "means that the field does not apply. See also [Reading the numbers](../explanations/numbers.md)."
)
REPORT = (
    "`mivae estimate-mi --json` prints one report, and `estimate_mutual_information` returns one. "
    "Values are in nats; `null` means that the field does not apply. See also "
    "[Estimators](../explanations/estimators.md)."
)
API = (
    "Everything listed here is public; other names may change in any release. The tutorial "
    "[Using mivae from Python](../tutorials/python.md) is an introduction."
)


def on_config(config: "MkDocsConfig") -> None:
    """Adds formulas and examples to the Markdown of pages and docstrings."""
    config.markdown_extensions.append(DocstringMarkup())


def on_files(files: "Files", config: "MkDocsConfig") -> None:
    """Adds the generated pages."""
    pages = {
        "commands": commands_page(),
        "settings": settings_page(),
        "eval-json": fields_page("Fields of eval.json", EVALUATION, "Evaluation"),
        "mi-report": fields_page("Fields of the MI report", REPORT, "Report"),
        "messages": messages_page(),
        "api": api_page("Python API", f"{API} In examples, `run` is a trained run.", "mivae_cli"),
        "estimators": api_page("Python API: estimators", API, "mivae_cli.estimators"),
    }
    for name, text in pages.items():
        files.append(File.generated(config, f"reference/{name}.md", content=text))
    _check_docstrings()


def _check_docstrings() -> None:
    package = griffe.load("mivae_cli", search_paths=["."], resolve_aliases=True)
    for module in PACKAGES:
        for name in public_names(module):
            found = package[f"{module}.{name}".removeprefix("mivae_cli.")]
            if not found.is_module and not name.startswith("__"):
                _check(f"{module}.{name}", found)


def _check(path: str, found: "griffe.Object | griffe.Alias") -> None:
    if not found.has_docstring and found.kind is not griffe.Kind.ATTRIBUTE:
        LOG.warning("%s has no docstring", path)
    if found.is_class:
        for name, member in found.all_members.items():
            if not name.startswith("_") and member.is_function:
                _check(f"{path}.{name}", member)
