"""Packages import only from the packages below them; the imports are read from the source."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import mivae_cli

ROOT = Path(mivae_cli.__file__).parent
# Packages from the bottom up: a package or module imports only from the lines above its own.
BASE = {
    "__init__",
    "errors",
    "choices",
    "limits",
    "devices",
    "signals",
    "stages",
    "schema",
    "finite_checks",
}
ORDER = (
    "objectives",
    "storage",
    "config",
    "data",
    "models",
    "estimators",
    "mi_terms",
    "evaluation",
    "runs",
    "training",
    "generation",
    "tracking",
    "experiments",
    "reports",
    "explorer",
    "api",
    "cli",
    "__main__",
)
# Packages and modules that describe runs; the command line imports them for its help
TORCH_FREE = (
    "choices",
    "errors",
    "limits",
    "schema",
    "stages",
    "objectives",
    "storage",
    "config",
    "estimators.report",
    "evaluation.metrics",
    "evaluation.records",
    "evaluation.rounding",
    "evaluation.text_record",
    "training.collapse",
    "experiments.columns",
    "experiments.comparability",
    "experiments.comparison",
    "experiments.seed_groups",
    "experiments.summary",
)
MODULES = sorted(ROOT.rglob("*.py"), key=str)


def parts_of(path: Path) -> tuple[str, ...]:
    return path.relative_to(ROOT).with_suffix("").parts


def imports(path: Path, at_run_time: bool = False) -> Iterator[str]:
    """Yields the imports of a module, those of this package as `mivae_cli.NAME`.

    Arguments:
        path: The module.
        at_run_time: Whether to leave out imports under `TYPE_CHECKING`.
    """
    tree = ast.parse(path.read_text(encoding="utf-8"))
    unseen: set[ast.AST] = set()
    if at_run_time:
        for node in ast.walk(tree):
            if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
                unseen.update(inner for child in node.body for inner in ast.walk(child))
    for node in ast.walk(tree):
        if node in unseen:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = ["mivae_cli", *parts_of(path)[:-1]]
            base = package[: len(package) - node.level + 1] if node.level else []
            source = ".".join([*base, node.module] if node.module else base)
            if source == "mivae_cli":
                yield from (f"mivae_cli.{alias.name}" for alias in node.names)
            else:
                yield source


def layer_of(name: str) -> str:
    """Returns the package or base module of a name such as `mivae_cli.data.lines`."""
    layer = name.split(".")[1]
    return layer if layer in {path.stem for path in ROOT.iterdir()} else "__init__"


def place_of(layer: str) -> int:
    """Returns the line of a package in the order, counted from the base modules."""
    if layer not in BASE and layer not in ORDER:
        pytest.fail(f"'{layer}' is neither a base module nor a package of ORDER")
    return 0 if layer in BASE else 1 + ORDER.index(layer)


def test_imports_point_one_way() -> None:
    wrong = []
    for path in MODULES:
        own = parts_of(path)[0]
        # the root package imports the API for type checkers only
        for name in imports(path, at_run_time=own == "__init__"):
            layer = layer_of(name) if name.startswith("mivae_cli.") else own
            if layer != own and place_of(layer) >= max(place_of(own), 1):
                wrong.append(f"{'.'.join(parts_of(path))} imports {name}")
    assert wrong == []


def test_only_the_command_line_imports_typer_or_rich() -> None:
    found = {
        ".".join(parts_of(path))
        for path in MODULES
        if parts_of(path)[0] not in {"cli"}
        and {name.partition(".")[0] for name in imports(path)} & {"typer", "rich"}
    }
    assert found == set()


@pytest.mark.parametrize("name", TORCH_FREE)
def test_modules_that_describe_runs_do_not_import_torch(name: str) -> None:
    place = tuple(name.split("."))
    paths = [path for path in MODULES if parts_of(path)[: len(place)] == place]
    packages = {found.partition(".")[0] for path in paths for found in imports(path, True)}
    assert paths
    assert not packages & {"torch", "safetensors", "tokenizers", "numpy"}


def test_estimators_import_only_the_latent_from_models() -> None:
    found = {
        name
        for path in (ROOT / "estimators").glob("*.py")
        for name in imports(path)
        if name.startswith("mivae_cli.models")
    }
    assert found == {"mivae_cli.models.latent"}


def test_the_parser_sees_imports_of_every_form(tmp_path: Path) -> None:
    path = ROOT / "data" / "absent.py"
    assert parts_of(path) == ("data", "absent")
    found = set(imports(ROOT / "cli" / "__init__.py"))
    assert {
        "typer",
        "sys",
        "mivae_cli.errors",
        "mivae_cli.cli.train",
        "mivae_cli.cli.support.console",
    } <= found
    assert "mivae_cli.__version__" in found
    assert layer_of("mivae_cli.__version__") == "__init__"
    assert "torch" in set(imports(ROOT / "objectives" / "objective.py"))  # for the type checker
    assert "torch" not in set(imports(ROOT / "objectives" / "objective.py", at_run_time=True))


@pytest.mark.parametrize("module", ["mivae_cli.cli", "mivae_cli.config.resolve"])
def test_help_does_not_wait_for_torch(module: str) -> None:
    slow = {"torch", "tokenizers", "numpy", "scipy", "sklearn"}
    code = f"import sys, {module}; print(*{slow} & set(sys.modules))"
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=True, text=True
    )
    assert found.stdout.split() == []
