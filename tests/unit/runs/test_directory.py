"""The run directory: self-contained, verified, and careful about what it replaces."""

import os
import re
import resource
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from mivae_cli.data.prepared_corpus import Corpus
from mivae_cli.errors import CheckpointError, ConfigError, StorageError
from mivae_cli.runs.create import create_run
from mivae_cli.runs.directory import RunDirectory
from mivae_cli.signals import Interrupted
from mivae_cli.storage.manifest import Entry, Manifest, entry_of, write_manifest
from mivae_cli.storage.metrics_log import check_prefix
from mivae_cli.storage.ownership import draft_path
from mivae_cli.storage.sealed_json import FORMAT, Kind, read_sealed, write_sealed
from mivae_cli.training.events import SaveFailed
from mivae_cli.training.trainer import Trainer
from support.disk import full
from support.small import small_config, train_to_end, write_scenes
from support.stops import AfterSteps


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunDirectory, Corpus]:
    folder = tmp_path_factory.mktemp("sound")
    text = write_scenes(folder / "scenes.txt", count=300)
    run, corpus, _ = train_to_end(small_config(text, training={"epochs": 1}), folder / "run")
    return run, corpus


@pytest.fixture
def trained(sound: tuple[RunDirectory, Corpus], tmp_path: Path) -> tuple[RunDirectory, Corpus]:
    run, corpus = sound
    shutil.copytree(run.path, tmp_path / "runs" / "one")
    return RunDirectory.open(tmp_path / "runs" / "one"), corpus


def model_file(run: RunDirectory) -> Path:
    return run.find_checkpoint().manifest.folder / "model.safetensors"


def rewrite_manifest(folder: Path) -> None:
    """Rewrites a manifest for the current files, as an attacker could."""
    manifest = Manifest.read(folder, "checkpoint")
    body = {
        key: value
        for key, value in manifest.body.items()
        if key not in ("kind", "format", "mivae", "files", "checksum")
    }
    files = {name: entry_of(folder / name) for name in manifest.files}
    write_manifest(folder, "checkpoint", files, body)


def test_a_run_contains_everything_that_its_model_needs(tmp_path: Path) -> None:
    text = write_scenes(tmp_path / "scenes.txt", count=200, seed=7)
    config = small_config(text, training={"epochs": 1})
    run, corpus, _ = train_to_end(config, tmp_path / "run")
    for path in corpus.folder.iterdir():  # the cache and the text may go
        path.unlink()
    text.unlink()
    opened = RunDirectory.open(run.path)
    model = opened.load_model()
    assert not model.training
    assert opened.load_tokenizer().size == len(model.decoder.output.bias)
    assert len(opened.open_corpus()["train"]) > len(opened.open_corpus()["test"]) > 0


def test_no_file_of_a_run_is_a_pickle(trained: tuple[RunDirectory, Corpus]) -> None:
    run, _ = trained
    files = [path for path in run.path.rglob("*") if path.is_file()]
    endings = {".json", ".jsonl", ".safetensors", ".npy", ".tokens"}
    assert {path.suffix for path in files} == endings
    assert not any(path.read_bytes().startswith((b"\x80", b"PK")) for path in files)


@pytest.mark.parametrize("name", ["best", "last", "epoch-0001"])
def test_a_checkpoint_can_be_opened_by_path(
    trained: tuple[RunDirectory, Corpus], name: str
) -> None:
    run, _ = trained
    opened = RunDirectory.open(run.path / "checkpoints" / name)
    assert opened.name == name
    assert opened.path == run.path
    assert opened.load_model().latent_size == 4


def test_loading_a_model_draws_no_random_numbers(trained: tuple[RunDirectory, Corpus]) -> None:
    """Otherwise loading a model between two records would change the training."""
    run, _ = trained
    before = torch.get_rng_state()
    run.load_model()
    assert torch.equal(torch.get_rng_state(), before)


def test_a_path_without_a_run_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="nothing"):
        RunDirectory.open(tmp_path / "nothing")
    with pytest.raises(CheckpointError, match=r"no manifest\.json"):
        RunDirectory.open(tmp_path)


def test_a_run_without_a_checkpoint_has_no_model(trained: tuple[RunDirectory, Corpus]) -> None:
    run, _ = trained
    shutil.rmtree(run.find_checkpoint().manifest.folder)
    with pytest.raises(CheckpointError, match="has no checkpoint"):
        run.load_model()
    with pytest.raises(CheckpointError, match="epoch-0001"):
        RunDirectory.open(run.path / "checkpoints" / "epoch-0001").load_model()


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_with_nan_are_rejected_even_if_the_manifest_lists_them(
    trained: tuple[RunDirectory, Corpus], value: float
) -> None:
    run, _ = trained
    path = model_file(run)
    tensors = load_file(str(path))
    tensors["decoder.output.bias"][3] = value
    save_file(tensors, str(path))
    with pytest.raises(CheckpointError, match=r"model\.safetensors"):
        run.load_model()
    rewrite_manifest(path.parent)
    with pytest.raises(CheckpointError, match=r"decoder\.output\.bias"):
        run.load_model()


@pytest.mark.parametrize("keep", [0, 7, 1000])
def test_truncated_weights_are_rejected(trained: tuple[RunDirectory, Corpus], keep: int) -> None:
    run, _ = trained
    path = model_file(run)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(CheckpointError, match=r"model\.safetensors"):
        run.load_model()
    rewrite_manifest(path.parent)
    with pytest.raises(CheckpointError, match=r"model\.safetensors"):
        run.load_model()


def test_a_flipped_bit_is_detected(
    trained: tuple[RunDirectory, Corpus],
) -> None:
    run, _ = trained
    path = model_file(run)
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(data)
    load_file(str(path))
    with pytest.raises(CheckpointError, match="checksum"):
        run.load_model()


def test_weights_of_another_model_are_rejected(trained: tuple[RunDirectory, Corpus]) -> None:
    run, _ = trained
    config = run.load_config()
    model = config.model.model_copy(update={"latent_size": 5})
    run.update_config(config.model_copy(update={"model": model}))
    with pytest.raises(CheckpointError, match=r"another model"):
        run.load_model()


def test_a_huge_model_is_rejected_before_it_is_built(
    trained: tuple[RunDirectory, Corpus],
) -> None:
    run, _ = trained
    config = run.load_config()
    decoder = config.model.decoder.model_copy(update={"hidden_size": 2**16})
    model = config.model.model_copy(update={"decoder": decoder})
    run.update_config(config.model_copy(update={"model": model}))
    before = peak_mebibytes()
    with pytest.raises(CheckpointError, match="another model"):
        run.load_model()
    assert peak_mebibytes() < before + 100


@pytest.mark.parametrize("text", ["", "{", "[]", '{"seed": -1}', "[" * 100_000, "\udcff"])
def test_a_damaged_configuration_is_rejected(
    trained: tuple[RunDirectory, Corpus], text: str
) -> None:
    run, _ = trained
    (run.path / "config.json").write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(CheckpointError, match=r"config\.json"):
        RunDirectory.open(run.path).load_model()


def test_an_edited_configuration_is_rejected(trained: tuple[RunDirectory, Corpus]) -> None:
    run, _ = trained
    path = run.path / "config.json"
    text = path.read_text()
    path.write_text(text.replace('"epochs": 1', '"epochs": 2'))
    assert path.read_text() != text
    with pytest.raises(CheckpointError, match="checksum"):
        RunDirectory.open(run.path).load_model()


@pytest.mark.parametrize("body", [{}, {"config": 3}, {"config": {"seed": -1}}])
def test_an_invalid_sealed_configuration_is_rejected(
    trained: tuple[RunDirectory, Corpus], body: dict[str, object]
) -> None:
    run, _ = trained
    write_sealed(run.path / "config.json", "config", {"run": run.id, **body})
    with pytest.raises(CheckpointError, match=r"config\.json"):
        RunDirectory.open(run.path).load_model()


def test_files_of_another_run_are_rejected(
    trained: tuple[RunDirectory, Corpus], tmp_path: Path
) -> None:
    run, corpus = trained
    other = create_run(tmp_path / "other", run.load_config(), corpus)
    shutil.copytree(run.path / "checkpoints", other.path / "checkpoints")
    with pytest.raises(CheckpointError, match="belongs to another run"):
        other.load_model()
    shutil.copy(run.path / "config.json", other.path / "config.json")
    with pytest.raises(CheckpointError, match="belongs to another run"):
        RunDirectory.open(other.path).load_config()


def test_a_newer_format_is_rejected(trained: tuple[RunDirectory, Corpus]) -> None:
    run, _ = trained
    path = run.path / "config.json"
    path.write_text(path.read_text().replace(f'"format": {FORMAT}', f'"format": {FORMAT + 1}'))
    with pytest.raises(CheckpointError, match=rf"format {FORMAT + 1}"):
        RunDirectory.open(run.path).load_model()


def test_weights_of_a_newer_format_are_rejected(trained: tuple[RunDirectory, Corpus]) -> None:
    run, _ = trained
    path = model_file(run)
    save_file(load_file(str(path)), str(path), metadata={"mivae_format": str(FORMAT + 1)})
    rewrite_manifest(path.parent)
    with pytest.raises(CheckpointError, match=f"format {FORMAT + 1}"):
        run.load_model()


STATES: list[dict[str, object]] = [
    {},
    {"state": 3},
    {"state": {"step": -1}},
    {"state": {"position": 10**9}},
    {"state": {"nonsense": 1}},
    {"state": {"best": "much"}},
]


@pytest.mark.parametrize("body", STATES)
def test_an_invalid_training_state_is_rejected(
    trained: tuple[RunDirectory, Corpus], body: dict[str, object]
) -> None:
    run, corpus = trained
    folder = run.find_checkpoint().manifest.folder
    write_sealed(folder / "state.json", "state", body)
    with pytest.raises(CheckpointError, match="state"):
        Trainer(run.load_config(), corpus).resume(run)
    rewrite_manifest(folder)
    with pytest.raises(CheckpointError, match=r"state|resumed|corpus"):
        Trainer(run.load_config(), corpus).resume(run)


@pytest.mark.parametrize("change", ["shape", "nan", "random", "missing", "surplus"])
def test_moments_and_random_states_that_do_not_fit_are_rejected(
    trained: tuple[RunDirectory, Corpus], change: str
) -> None:
    run, corpus = trained
    folder = run.find_checkpoint().manifest.folder
    path = folder / "training.safetensors"
    tensors = load_file(str(path))
    if change == "surplus":
        tensors["model.999.exp_avg"] = torch.zeros(3)
    elif change == "shape":
        tensors["model.0.exp_avg"] = torch.zeros(3)
    elif change == "nan":
        tensors["model.0.exp_avg"].fill_(torch.nan)
    elif change == "random":
        tensors["random.cpu"] = torch.zeros(5, dtype=torch.uint8)
    else:
        del tensors["random.cpu"]
    save_file(tensors, str(path))
    rewrite_manifest(folder)
    with pytest.raises(CheckpointError, match="cannot be resumed"):
        Trainer(run.load_config(), corpus).resume(run)


def test_a_run_is_replaced_only_with_overwrite_and_then_completely(
    trained: tuple[RunDirectory, Corpus],
) -> None:
    run, corpus = trained
    config = run.load_config()
    with pytest.raises(ConfigError, match="--overwrite"):
        create_run(run.path, config, corpus)
    assert run.load_model().latent_size == 4
    create_run(run.path, config, corpus, overwrite=True)
    assert not (run.path / "checkpoints").exists()
    assert (run.path / "metrics.jsonl").read_text() == ""


def test_a_folder_with_other_files_is_never_replaced(
    trained: tuple[RunDirectory, Corpus], tmp_path: Path
) -> None:
    run, corpus = trained
    place = tmp_path / "precious"
    place.mkdir()
    (place / "thesis.txt").write_text("years of work")
    with pytest.raises(ConfigError, match=r"thesis\.txt"):
        create_run(place, run.load_config(), corpus, overwrite=True)
    assert (place / "thesis.txt").read_text() == "years of work"


@pytest.mark.parametrize(
    "names",
    [
        ["data/corpus.txt"],
        ["data/train/tokenizer.json"],
        ["checkpoints/model.pt"],
        ["checkpoints/epoch-1.ckpt", "config.json"],
        ["data/train.tokens", "data/notes.md", "manifest.json"],
        ["config.json", "tokenizer.json", "checkpoints/epoch-0001/model.safetensors"],
        ["data/train.tokens"],
        ["checkpoints/epoch-0001/notes.txt"],
        ["metrics.jsonl"],
        ["sentences/corpus.txt"],
        ["sentences/epoch-0001-0123456789abcdef.safetensors"],
        ["lock.json"],
        [".draft-vectors.npz"],
        ["environment.json", "manifest.json", "eval.json"],
    ],
)
@pytest.mark.parametrize("overwrite", [False, True])
def test_other_folders_with_the_names_of_ours_are_never_replaced(
    trained: tuple[RunDirectory, Corpus], tmp_path: Path, names: list[str], overwrite: bool
) -> None:
    """A user with a text in project/data may pass --out project."""
    run, corpus = trained
    place = tmp_path / "project"
    for name in names:
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text("years of work")
    with pytest.raises(ConfigError, match="--out"):
        create_run(place, run.load_config(), corpus, overwrite)
    assert all((place / name).read_text() == "years of work" for name in names)
    assert sum(path.is_file() for path in place.rglob("*")) == len(names)


@pytest.mark.parametrize(
    "names",
    [
        ["eval.json", "metrics.jsonl"],
        ["environment.json", "tokenizer.json"],
        ["metrics.jsonl", "data/corpus.json"],
        ["tokenizer.json", "checkpoints/epoch-0001/manifest.json"],
        ["manifest.json"],
    ],
)
def test_a_partial_run_is_replaced_only_with_overwrite(
    trained: tuple[RunDirectory, Corpus], tmp_path: Path, names: list[str]
) -> None:
    run, corpus = trained
    run.write_evaluation({"rate": 1.0})
    place = tmp_path / "project"
    for name in names:
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(run.path / name, place / name)
    with pytest.raises(ConfigError, match="--overwrite"):
        create_run(place, run.load_config(), corpus)
    assert all((place / name).exists() for name in names)
    create_run(place, run.load_config(), corpus, overwrite=True)
    assert RunDirectory.open(place).load_config() == run.load_config()


def test_creation_that_fails_at_any_write_can_be_repeated(
    trained: tuple[RunDirectory, Corpus], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, corpus = trained
    replace, left = os.replace, 0

    def failing_later(source: Path, target: Path) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise OSError(28, "No space left on device")
        replace(source, target)

    monkeypatch.setattr(os, "replace", failing_later)
    for writes in range(5):  # config, environment, tokenizer, journal, manifest
        place, left = tmp_path / "cut", writes
        with pytest.raises(ConfigError, match="No space left"):
            create_run(place, run.load_config(), corpus)
        with pytest.raises(CheckpointError, match=r"manifest\.json"):
            RunDirectory.open(place)
    left = 5
    create_run(place, run.load_config(), corpus)
    assert RunDirectory.open(place).load_config() == run.load_config()


@pytest.mark.parametrize("name", ["data", "checkpoints"])
def test_links_instead_of_folders_are_not_replaced(
    trained: tuple[RunDirectory, Corpus], tmp_path: Path, name: str
) -> None:
    run, corpus = trained
    config = run.load_config()
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "thesis.txt").write_text("years of work")
    shutil.rmtree(run.path / name)
    (run.path / name).symlink_to(tmp_path / "precious")
    with pytest.raises(ConfigError, match=f"\\({name}"):
        create_run(run.path, config, corpus, overwrite=True)
    assert (run.path / name / "thesis.txt").read_text() == "years of work"


def test_drafts_of_interrupted_saves_are_replaced_with_the_run(
    trained: tuple[RunDirectory, Corpus],
) -> None:
    run, corpus = trained
    config = run.load_config()
    draft = draft_path(run.path / "checkpoints" / "epoch-0002")
    draft.mkdir()
    (draft / "model.safetensors").touch()
    draft_path(run.path / "eval.json").touch()
    create_run(run.path, config, corpus, overwrite=True)
    assert not any(path.name.startswith(".draft") for path in run.path.rglob("*"))


STRANGERS: dict[str, Callable[[Path], object]] = {
    "a folder like a draft": lambda run: (run / ".draft-folder").mkdir(),
    "a file like a draft": lambda run: (run / ".draft-eval.json").touch(),
    "a link in place of a draft": lambda run: draft_path(run / "eval.json").symlink_to("nowhere"),
    "a file in a draft": lambda run: put_inside(draft_path(run / "checkpoints" / "epoch-0002")),
    "a file in a checkpoint": lambda run: put_inside(run / "checkpoints" / "epoch-0007"),
    "a file in data": lambda run: put_inside(run / "data"),
    "a folder in place of a file": lambda run: put_inside(run / "eval.json"),
    "a link to a checkpoint": lambda run: (run / "checkpoints" / "epoch-0007").symlink_to(".."),
}


def put_inside(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "thesis.txt").write_text("years of work")


@pytest.mark.parametrize("put", STRANGERS.values(), ids=STRANGERS)
def test_files_that_a_user_adds_to_a_run_are_never_removed(
    trained: tuple[RunDirectory, Corpus], put: Callable[[Path], object]
) -> None:
    run, corpus = trained
    config = run.load_config()
    put(run.path)
    before = {path for path in run.path.rglob("*") if not path.match("*/lock.json")}
    with pytest.raises(ConfigError, match="--out"):
        create_run(run.path, config, corpus, overwrite=True)
    assert set(run.path.rglob("*")) == before


def test_a_run_whose_corpus_is_read_is_not_replaced(
    trained: tuple[RunDirectory, Corpus],
) -> None:
    run, _ = trained
    with pytest.raises(ConfigError, match="MIVAE_CACHE"):
        create_run(run.path, run.load_config(), run.open_corpus(), overwrite=True)
    assert run.load_model().latent_size == 4


@pytest.mark.parametrize("key", ["id", "corpus", "evaluated"])
@pytest.mark.parametrize("value", [None, 3, []])
def test_an_invalid_sealed_manifest_is_rejected(
    trained: tuple[RunDirectory, Corpus], key: str, value: object
) -> None:
    run, _ = trained
    path = run.path / "manifest.json"
    body = read_sealed(path, "run")
    for name in ("kind", "format", "mivae", "checksum"):
        del body[name]
    write_sealed(path, "run", {**body, key: value})
    attempts: list[Callable[[RunDirectory], object]] = [
        RunDirectory.load_model,
        RunDirectory.load_config,
        lambda opened: opened.write_evaluation({}),
    ]
    for attempt in attempts:
        with pytest.raises(CheckpointError, match=f"manifest.json.*'{key}'"):
            attempt(RunDirectory.open(run.path))


def test_a_damaged_metrics_log_is_set_aside_beside_earlier_ones(
    trained: tuple[RunDirectory, Corpus],
) -> None:
    run, corpus = trained
    for number in range(2):
        run.metrics_path.write_text(f"damaged {number}")
        config = run.load_config().model_copy(
            update={"training": run.load_config().training.model_copy(update={"epochs": 2})}
        )
        trainer = Trainer(config, corpus)
        [problem] = trainer.resume(run)
        assert str(run.metrics_path) in problem
        assert not os.path.lexists(run.metrics_path)
    list(trainer.fit(run))
    assert len(run.metrics_path.read_text().splitlines()) == 3
    aside = sorted(path.read_text() for path in run.path.glob("metrics.damaged*.jsonl"))
    assert aside == ["damaged 0", "damaged 1"]


IN_A_RUN = [
    "metrics.jsonl", "lock.json", "config.json", "eval.json", "manifest.json",
    "checkpoints", "checkpoints/epoch-0001", "data", "sentences",
]  # fmt: skip


@pytest.mark.parametrize("name", IN_A_RUN)
@pytest.mark.parametrize("hard", [False, True], ids=["symbolic", "hard"])
def test_nothing_is_written_through_a_link(
    trained: tuple[RunDirectory, Corpus], tmp_path: Path, name: str, hard: bool
) -> None:
    run, corpus = trained
    path, config = run.path / name, run.load_config()
    trainer = Trainer(config, corpus)
    if name in ("eval.json", "lock.json"):
        path.write_text("years of work")
    elsewhere = tmp_path / "elsewhere"
    if name == "sentences":
        path.mkdir()
    if path.is_dir():
        shutil.copytree(path, elsewhere)
        shutil.rmtree(path)
        path.symlink_to(elsewhere)
    elif hard:
        os.link(path, elsewhere)
    else:
        path.rename(elsewhere)
        path.symlink_to(elsewhere)

    def content() -> dict[Path, bytes]:
        files = [elsewhere, *elsewhere.rglob("*")]
        return {file: file.read_bytes() for file in files if file.is_file()}

    before = content()
    writers: list[Callable[[], object]] = [
        lambda: trainer.resume(run),
        lambda: list(trainer.fit(run)),
        lambda: run.update_config(config),
        lambda: run.write_evaluation({"rate": 1.0}),
    ]
    for write in writers:
        with pytest.raises(CheckpointError, match=re.escape(f"'{path}'")) as caught:
            write()
        assert caught.value.exit_code == 4
    assert content() == before


def test_data_with_hard_links_to_the_cache_can_be_read(
    trained: tuple[RunDirectory, Corpus], tmp_path: Path
) -> None:
    run, _ = trained
    for path in (run.path / "data").iterdir():
        os.link(path, tmp_path / path.name)
    trainer = Trainer(run.load_config(), run.open_corpus())
    assert trainer.resume(run) == []


def test_a_run_can_be_written_through_a_link_to_its_folder(
    trained: tuple[RunDirectory, Corpus], tmp_path: Path
) -> None:
    run, corpus = trained
    (tmp_path / "link").symlink_to(run.path)
    assert Trainer(run.load_config(), corpus).resume(RunDirectory.open(tmp_path / "link")) == []


def test_a_save_removes_only_drafts_of_checkpoints(
    trained: tuple[RunDirectory, Corpus],
) -> None:
    run, corpus = trained
    folder = run.path / "checkpoints"
    draft = draft_path(folder / "epoch-0002")
    draft.mkdir()
    (draft / "state.json").touch()
    put_inside(folder / ".draft-epoch-0002")
    put_inside(folder / "epoch-0000")
    (folder / "epoch-0002").mkdir()
    config = run.load_config().model_copy(
        update={"training": run.load_config().training.model_copy(update={"epochs": 2})}
    )
    trainer = Trainer(config, corpus)
    trainer.resume(run)
    assert not any(isinstance(record, SaveFailed) for record in trainer.fit(run))
    names = [".draft-epoch-0002", "epoch-0000", "epoch-0001", "epoch-0002"]
    assert sorted(path.name for path in folder.iterdir()) == names
    assert run.checkpoints.newest()[0].name == "epoch-0002"


def test_a_save_does_not_replace_other_files(
    trained: tuple[RunDirectory, Corpus],
) -> None:
    run, corpus = trained
    config = run.load_config().model_copy(
        update={"training": run.load_config().training.model_copy(update={"epochs": 2})}
    )
    trainer = Trainer(config, corpus)
    trainer.resume(run)
    put_inside(run.path / "checkpoints" / "epoch-0002")
    with pytest.raises(StorageError, match="epoch-0002"):
        list(trainer.fit(run))
    assert (run.path / "checkpoints" / "epoch-0002" / "thesis.txt").exists()


def test_a_run_replaced_during_its_creation_is_an_error(
    trained: tuple[RunDirectory, Corpus], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The check must not be an assertion, which python -O removes."""
    run, corpus = trained

    def written_by_another(
        folder: Path, kind: Kind, files: Mapping[str, Entry], body: dict[str, object]
    ) -> None:
        write_manifest(folder, kind, files, body | {"id": "0" * 32})

    monkeypatch.setattr("mivae_cli.runs.create.write_manifest", written_by_another)
    with pytest.raises(ConfigError, match="another run"):
        create_run(tmp_path / "new", run.load_config(), corpus)


def test_older_checkpoints_that_cannot_be_removed_do_not_make_a_save_fail(
    trained: tuple[RunDirectory, Corpus], monkeypatch: pytest.MonkeyPatch
) -> None:
    run, corpus = trained
    training = run.load_config().training.model_copy(update={"epochs": 4, "keep": 0})
    trainer = Trainer(run.load_config().model_copy(update={"training": training}), corpus)
    trainer.resume(run)
    with monkeypatch.context() as patched:
        patched.setattr("mivae_cli.runs.checkpoint_writer.remove_tree", full)
        assert not any(isinstance(record, SaveFailed) for record in trainer.fit(run))
    names = sorted(path.name for path in (run.path / "checkpoints").iterdir())
    assert names == ["epoch-0001", "epoch-0002", "epoch-0003", "epoch-0004"]


@pytest.mark.parametrize("name", ["x" * 300, "x/" * 5000])
def test_a_name_that_is_too_long_is_an_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(CheckpointError, match="too long"):
        RunDirectory.open(tmp_path / name)


def test_a_path_that_is_not_writable_is_an_error(
    trained: tuple[RunDirectory, Corpus], tmp_path: Path
) -> None:
    run, corpus = trained
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot write"):
        create_run(tmp_path / "file" / "run", run.load_config(), corpus)


def test_an_interrupted_creation_leaves_no_run_and_can_be_replaced(
    trained: tuple[RunDirectory, Corpus], tmp_path: Path
) -> None:
    run, corpus = trained
    place = tmp_path / "cut"
    begun = create_run(place, run.load_config(), corpus)
    (begun.path / "manifest.json").unlink()
    with pytest.raises(CheckpointError, match=r"manifest\.json"):
        RunDirectory.open(place)
    create_run(place, run.load_config(), corpus)
    assert RunDirectory.open(place).load_config() == run.load_config()


def test_the_best_the_last_and_n_others_are_kept(tmp_path: Path) -> None:
    text = write_scenes(tmp_path / "scenes.txt", count=300)
    training = {
        "epochs": 6,
        "keep": 2,
        "patience": 100,
        "optimizer": {"kind": "sgd", "learning_rate": 1e-12},  # the first epoch stays the best
    }
    objective = {"mi_weight": 0.0, "beta_schedule": {"kind": "constant"}}
    config = small_config(text, training=training, objective=objective)
    run, _, _ = train_to_end(config, tmp_path / "run")
    best = run.find_checkpoint().name
    assert best == f"epoch-{Trainer(config, run.open_corpus()).state.best_epoch or 1:04d}"
    names = sorted(path.name for path in (run.path / "checkpoints").iterdir())
    assert names == [best, "epoch-0004", "epoch-0005", "epoch-0006"]
    assert sorted(path.name for path in run.path.iterdir()) == [
        "checkpoints",
        "config.json",
        "data",
        "environment.json",
        "manifest.json",
        "metrics.jsonl",
        "tokenizer.json",
    ]


def test_a_damaged_newest_checkpoint_is_skipped_with_a_warning(tmp_path: Path) -> None:
    text = write_scenes(tmp_path / "scenes.txt", count=300)
    config = small_config(text, training={"epochs": 3})
    whole, corpus, _ = train_to_end(config, tmp_path / "whole")
    run, _, _ = train_to_end(config, tmp_path / "run")
    path = run.path / "checkpoints" / "epoch-0003" / "training.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    trainer = Trainer(config, corpus)
    [problem] = trainer.resume(run)
    assert "epoch-0003/training.safetensors" in problem
    assert trainer.state.epoch == 2
    list(trainer.fit(run))
    run = RunDirectory.open(run.path)
    expected = (whole.path / "checkpoints" / "epoch-0003" / "model.safetensors").read_bytes()
    assert (path.parent / "model.safetensors").read_bytes() == expected
    assert run.checkpoints.newest()[1] == []


def test_damaged_checkpoints_are_removed_by_the_first_save_after_resuming(tmp_path: Path) -> None:
    text = write_scenes(tmp_path / "scenes.txt", count=300)
    config = small_config(text, training={"epochs": 5, "keep": 3})
    run, corpus, _ = train_to_end(config, tmp_path / "run")
    for name in ("epoch-0004", "epoch-0005"):
        (run.path / "checkpoints" / name / "training.safetensors").write_bytes(b"")
    trainer = Trainer(config, corpus)
    assert len(trainer.resume(run)) == 2
    with pytest.raises(Interrupted):
        list(trainer.fit(run, AfterSteps(3)))
    found = RunDirectory.open(run.path).checkpoints.all()
    step = f"step-{trainer.state.step:08d}"
    assert [checkpoint.name for checkpoint in found] == ["epoch-0002", "epoch-0003", step]
    assert RunDirectory.open(run.path / "checkpoints" / "last").find_checkpoint().name == step
    check_prefix(run.metrics_path, found[-1].metrics)


def test_a_damaged_manifest_does_not_hide_the_best_checkpoint(
    trained: tuple[RunDirectory, Corpus],
) -> None:
    run, _ = trained
    path = run.find_checkpoint().manifest.folder / "manifest.json"
    path.write_bytes(path.read_bytes()[:-2])
    with pytest.raises(CheckpointError, match=r"epoch-0001/manifest\.json"):
        run.load_model()


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "a/b", "..", ".", "", "a\\b\n"])
def test_a_manifest_that_lists_outside_files_is_rejected(
    trained: tuple[RunDirectory, Corpus], name: str
) -> None:
    run, _ = trained
    folder = run.find_checkpoint().manifest.folder
    body = read_sealed(folder / "manifest.json", "checkpoint")
    for key in ("kind", "format", "mivae", "checksum"):
        del body[key]
    body["files"][name] = {"size": 1, "sha256": "0" * 64}
    write_sealed(folder / "manifest.json", "checkpoint", body)
    with pytest.raises(CheckpointError, match=r"manifest\.json"):
        run.load_model()


@pytest.mark.parametrize(
    "name", ["model.safetensors", "state.json", "manifest.json", ".", "..", "../../data"]
)
def test_links_in_a_run_are_rejected(trained: tuple[RunDirectory, Corpus], name: str) -> None:
    run, _ = trained
    path = Path(os.path.normpath(run.find_checkpoint().manifest.folder / name))
    elsewhere = run.path.parent.parent / "elsewhere"
    path.rename(elsewhere)
    path.symlink_to(elsewhere)
    with pytest.raises(CheckpointError, match=re.escape(path.name)):
        resumed_anew(run.path)


def test_a_pipe_instead_of_a_file_does_not_block(trained: tuple[RunDirectory, Corpus]) -> None:
    run, _ = trained
    path = model_file(run)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(CheckpointError, match=path.name):
        run.load_model()


@pytest.mark.parametrize("name", ["model.pt", "model.pkl", "model.safetensors"])
def test_a_file_of_weights_is_rejected(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"\x80\x04]")
    with pytest.raises(CheckpointError, match="pickle"):
        RunDirectory.open(tmp_path / name)


def resumed_anew(path: Path) -> Trainer:
    """Opens and resumes a run as a command does."""
    run = RunDirectory.open(path)
    trainer = Trainer(run.load_config(), run.open_corpus())
    trainer.resume(run)
    return trainer


def peak_mebibytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


def test_no_run_is_created_where_its_weights_could_not_be_read(
    sound: tuple[RunDirectory, Corpus], tmp_path: Path
) -> None:
    run, corpus = sound
    place = tmp_path / os.fsdecode(b"run-\xff")
    with pytest.raises(ConfigError, match="UTF-8"):
        create_run(place, run.load_config(), corpus)
    assert not place.exists()


def test_a_file_instead_of_a_run_directory_is_an_error(
    sound: tuple[RunDirectory, Corpus], tmp_path: Path
) -> None:
    run, corpus = sound
    (tmp_path / "text.txt").write_text("a sentence\n")
    with pytest.raises(ConfigError, match=r"text\.txt"):
        create_run(tmp_path / "text.txt", run.load_config(), corpus)
    assert (tmp_path / "text.txt").read_text() == "a sentence\n"
