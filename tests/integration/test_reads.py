"""Commands hash each file of a run at most once, and read each document at most once.

Manifests are the exception: they show whether another process has replaced the run or a checkpoint.
"""

import hashlib
import os
from collections import Counter
from pathlib import Path
from typing import IO

import pytest

from mivae_cli.storage import sealed_json
from mivae_cli.storage.files import read_plain
from mivae_cli.storage.manifest import MANIFEST
from support.program import Mivae
from support.small import small_config, train_to_end, write_scenes


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reads")
    config = small_config(write_scenes(folder / "scenes.txt", count=200), training={"epochs": 2})
    run, _, _ = train_to_end(config, folder / "runs" / "a")
    run.write_evaluation({"rate": 1.0, "checkpoint": {"name": run.find_checkpoint().name}})
    return run.path


@pytest.mark.parametrize(
    "command",
    [
        ["eval", "{run}"],
        ["sample", "{run}", "--n", "1"],
        ["sample", "{run}/checkpoints/last", "--n", "1"],
        ["sample", "--n", "1"],
        ["encode", "{run}", "scenes.txt", "--out", "z.npz"],
        ["neighbours", "{run}", "a man"],
        ["train", "--resume", "--out", "{run}", "--set", "training.epochs=3"],
        ["compare", "{run}"],
        ["verify", "{run}"],
    ],
    ids=lambda command: " ".join(command[:2]),
)
def test_a_command_verifies_and_reads_each_file_once(
    trained: Path, mivae: Mivae, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    folder = trained.parent.parent
    monkeypatch.chdir(folder)
    hashed: Counter[str] = Counter()
    read: Counter[str] = Counter()
    digest = hashlib.file_digest

    def counted_digest(file: IO[bytes], name: str) -> object:
        hashed[os.path.realpath(f"/proc/self/fd/{file.fileno()}")] += 1
        return digest(file, name)  # type: ignore[arg-type]

    def counted_read(path: Path, limit: int) -> bytes:
        read[os.path.realpath(path)] += 1
        return read_plain(path, limit)

    monkeypatch.setattr(hashlib, "file_digest", counted_digest)
    monkeypatch.setattr(sealed_json, "read_plain", counted_read)
    ran = mivae(*(each.format(run=trained, folder=folder) for each in command))
    assert ran.code == 0, ran.err
    documents = {path: n for path, n in read.items() if Path(path).name != MANIFEST}
    assert f"{trained}/config.json" in documents
    assert hashed
    often = {path for path, n in (hashed | documents).items() if n > 1}
    assert {path for path in often if path.startswith(str(trained))} == set()
