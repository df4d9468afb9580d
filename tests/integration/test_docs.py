"""The README keeps its word: its commands run, and it names every command and preset."""

import re
import shlex
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from mivae_cli.cli import app, main
from mivae_cli.config.resolve import preset_names
from support.small import write_scenes

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def commands() -> list[list[str]]:
    lines = "\n".join(blocks("sh")).splitlines()
    return [shlex.split(line)[1:] for line in lines if line.startswith("mivae ")]


def test_the_readmes_commands_and_code_run_as_they_stand(
    brief: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    write_scenes(tmp_path / "corpus.txt", count=200)
    write_scenes(tmp_path / "other.txt", count=30, seed=1)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 2))
    np.savez(tmp_path / "pairs.npz", x=x, z=x[:, :1] + rng.normal(size=(300, 1)))
    assert len(commands()) > 15
    for arguments in commands():
        monkeypatch.setattr(sys, "argv", ["mivae", *arguments])
        with pytest.raises(SystemExit) as stop:
            main()
        assert not stop.value.code, (arguments, capsys.readouterr().err)
    capsys.readouterr()
    for code, lines in zip(blocks("python"), (6, 2), strict=True):
        exec(compile(code, "README.md", "exec"), {})  # noqa: S102 (the README's own code)
        assert len(capsys.readouterr().out.splitlines()) == lines
    torch.manual_seed(0)


def test_the_readme_names_every_command_and_preset() -> None:
    named = {arguments[0] for arguments in commands()}
    registered = {
        info.name or getattr(info.callback, "__name__", "") for info in app.registered_commands
    }
    assert registered | {"config"} == named
    for preset in preset_names():
        assert f"`{preset}`" in README


def test_every_file_that_the_docs_link_to_is_there() -> None:
    for path in [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]:
        for link in re.findall(r"\]\(([^)#]+?)\)", path.read_text(encoding="utf-8")):
            if "://" not in link:
                assert (path.parent / link).exists(), (path.name, link)


def test_no_placeholder_is_left_in_the_docs() -> None:
    for path in [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]:
        assert "@@" not in path.read_text(encoding="utf-8"), path.name


@pytest.mark.parametrize("name", ["demo.toml", "rate_distortion.toml"])
def test_the_example_configurations_are_valid(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        sys, "argv", ["mivae", "config", "validate", str(ROOT / "examples" / name)]
    )
    with pytest.raises(SystemExit) as stop:
        main()
    assert not stop.value.code


def test_contributing_lists_every_module() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
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
