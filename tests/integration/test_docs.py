"""The README and the pages of the site: their code runs, and the reference is complete."""

import contextlib
import importlib
import io
import re
import shlex
import shutil
import sys
import webbrowser
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import mivae_cli
from mivae_cli.api.training import train
from mivae_cli.cli import app, main
from mivae_cli.config.messages import known_keys
from mivae_cli.config.resolve import preset_names
from mivae_cli.estimators.critic_training import PROFILES
from mivae_cli.explorer import server
from support.program import Mivae
from support.small import small_config, train_to_end, write_scenes

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [*ROOT.glob("*.md"), *sorted(DOCS.rglob("*.md"))]
GENERATED = {"api", "commands", "estimators", "eval-json", "messages", "mi-report", "settings"}
# Computations of the pages are made short
QUICK: dict[str, object] = {
    "training.epochs": 1,
    "data.tokenizer.kind": "word",
    "evaluation.iw_samples": 2,
    "model.encoder.embedding_size": 16,
    "model.encoder.hidden_size": 16,
    "model.decoder.embedding_size": 16,
    "model.decoder.hidden_size": 16,
}


def read(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def blocks(page: Path) -> list[tuple[str, str]]:
    """Returns language and text of the blocks that readers can run, in the order of the page."""
    found = re.findall(r"^( *)```(sh|python)\n(.*?)^ *```$", read(page), re.DOTALL | re.MULTILINE)
    return [
        (language, "\n".join(line.removeprefix(indent) for line in code.splitlines()))
        for indent, language, code in found
    ]


def commands(page: Path) -> list[list[str]]:
    code = "\n".join(code for language, code in blocks(page) if language == "sh")
    return [shlex.split(line)[1:] for line in code.splitlines() if line.startswith("mivae ")]


def quick_train(
    corpus: str,
    presets: Sequence[str] = (),
    settings: Mapping[str, object] | None = None,
    out: str | None = None,
    progress: bool = False,
    track: str | Sequence[str] = (),
) -> mivae_cli.Run:
    return train(corpus, presets, {**(settings or {}), **QUICK}, out=out, track=track)


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files that the pages name, and a trained run."""
    folder = tmp_path_factory.mktemp("workspace")
    train_to_end(small_config(write_scenes(folder / "corpus.txt", count=200)), folder / "trained")
    write_scenes(folder / "other.txt", count=60, seed=1)
    lines = read(folder / "other.txt").splitlines()
    (folder / "labels.txt").write_text("".join(f"{len(line.split())}\n" for line in lines))
    corpus = read(folder / "corpus.txt").splitlines()
    rows = "".join(f'{number},"{line}"\n' for number, line in enumerate(corpus))
    (folder / "captions.csv").write_text(f"id,caption\n{rows}")
    values = "".join(f'{{"data": {{"text": "{line}"}}}}\n' for line in corpus)
    (folder / "captions.jsonl").write_text(values)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 2))
    np.savez(folder / "pairs.npz", x=x, z=x[:, :1] + rng.normal(size=(300, 1)))
    return folder


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page)], ids=name_of)
def test_the_code_of_a_page_runs(
    page: Path, workspace: Path, tmp_path: Path, mivae: Mivae, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(workspace, tmp_path, dirs_exist_ok=True)
    made = [each for each in commands(page) if each[0] == "train" and "--resume" not in each]
    if not any("runs/mine" in each for each in made):
        shutil.copytree(workspace / "trained", tmp_path / "runs" / "mine")
    monkeypatch.setattr(mivae_cli, "train", quick_train)
    monkeypatch.setattr(server, "serve", lambda *_: None)  # it would wait for Ctrl-C
    monkeypatch.setattr(webbrowser, "open", lambda _: True)
    for profile, plan in PROFILES.items():
        monkeypatch.setitem(PROFILES, profile, replace(plan, steps=10))
    variables: dict[str, object] = {}
    for language, code in blocks(page):
        if language == "python":
            code = code.replace("2_000", "500")  # rows
            with contextlib.redirect_stdout(io.StringIO()):
                exec(compile(code, page.name, "exec"), variables)  # noqa: S102
            continue
        for line in code.splitlines():
            if line.startswith("mivae "):
                arguments = shlex.split(line)[1:]
                if arguments[0] in {"train", "sweep"} and "--resume" not in arguments:
                    arguments += [f"--set={key}={value}" for key, value in QUICK.items()]
                if "--demo" in arguments and "list" not in arguments:
                    arguments.append("--n=500")
                ran = mivae(*arguments)
                assert ran.code == 0, (line, ran.err)


def test_the_readme_runs_every_command() -> None:
    registered = {
        info.name or getattr(info.callback, "__name__", "") for info in app.registered_commands
    }
    assert registered | {"config"} == {arguments[0] for arguments in commands(ROOT / "README.md")}


def test_the_page_of_methods_names_every_method() -> None:
    recipes = {"ptb", "yahoo", "yelp", "quick"}
    assert [
        name
        for name in preset_names()
        if f"`{name}`" not in read(DOCS / "explanations" / "methods.md") and name not in recipes
    ] == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_between_files_are_valid(page: Path) -> None:
    for link in re.findall(r"\]\(([^)#\s]+)[^)]*\)", read(page)):
        target = (page.parent / link).resolve()
        if "://" not in link and not (
            target.parent == DOCS / "reference" and target.stem in GENERATED
        ):
            assert target.exists(), link


@pytest.fixture
def hooks(monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(DOCS / "hooks")
    return DOCS / "hooks"


def generator(name: str) -> ModuleType:
    return importlib.import_module(name)


def test_the_reference_has_every_command_setting_and_exit_code(hooks: Path) -> None:
    reference, messages = generator("reference"), generator("messages")
    page = reference.commands_page()
    assert {
        name
        for info in app.registered_commands
        for name in [info.name or getattr(info.callback, "__name__", "")]
        if f"## mivae {name}\n" not in page
    } == set()
    page = reference.settings_page()
    assert {
        key
        for key in known_keys()
        if f"`{key}`" not in page and f"# {key}\n" not in page and not key.endswith(".kind")
    } == set()
    page = messages.messages_page()
    for code in range(1, 7):
        assert f"## Errors with exit code {code}" in page


@pytest.mark.parametrize(("page", "root"), [("eval-json", "Evaluation"), ("mi-report", "Report")])
def test_every_field_of_a_result_is_described(hooks: Path, page: str, root: str) -> None:
    text = generator("fields").fields_page(page, "", root)
    assert re.findall(r"^\| `(\w+)` \|[^|]+\|  \|$", text, flags=re.MULTILINE) == []


@pytest.mark.parametrize("name", ["demo.toml", "rate_distortion.toml"])
def test_the_example_configurations_are_valid(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        sys, "argv", ["mivae", "config", "validate", str(ROOT / "examples" / name)]
    )
    with pytest.raises(SystemExit) as stop:
        main()
    assert not stop.value.code


def test_contributing_lists_every_module() -> None:
    text = read(ROOT / "CONTRIBUTING.md")
    tree = re.search(r"```text\n(.*?)```", text, flags=re.DOTALL)
    assert tree
    listed = set()
    folders: list[str] = []
    for line in tree[1].splitlines():
        depth = (len(line) - len(line.lstrip())) // 2
        name = line.split()[0]
        assert line.split()[1:], f"{name} has no description"
        folders = [*folders[:depth], name]
        if name.endswith(".py"):
            listed.add("".join(folders))
    package = ROOT / "mivae_cli"
    modules = {str(path.relative_to(package)) for path in package.rglob("*.py")}
    assert listed == {
        name for name in modules if not name.endswith(("__init__.py", "__main__.py"))
    }
    renamed = text.partition("| old module | new module |")[2].partition("\n\n")[0]
    for module in re.findall(r"\| `([\w.]+)` \|$", renamed, flags=re.MULTILINE):
        assert f"{module.replace('.', '/')}.py" in listed, module
