"""Regression tests for malicious inputs that fuzzing has found."""

import io
import json
import struct
import time
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load, save

from mivae_cli.config.data import BPETokenizerConfig
from mivae_cli.config.resolve import read_config, template
from mivae_cli.data import tokenizer as module
from mivae_cli.data.tokenizer import train_tokenizer
from mivae_cli.devices import resolve_device
from mivae_cli.errors import CheckpointError, ConfigError, DataError
from mivae_cli.estimators.io.pairs import read_pairs
from mivae_cli.experiments.train_run import resume_training
from mivae_cli.runs.directory import RunDirectory
from mivae_cli.storage.manifest import entry_of
from mivae_cli.training.trainer import Trainer
from support.hostile import npy_bytes, sealed_bytes
from support.targets import CHECKPOINT, FuzzTargets, check_memory, seconds

Arrays = dict[str, Any]


@pytest.fixture(scope="module")
def targets(tmp_path_factory: pytest.TempPathFactory) -> FuzzTargets:
    return FuzzTargets(tmp_path_factory.mktemp("workshop"))


@pytest.fixture
def run(targets: FuzzTargets) -> Path:
    targets.restore()
    return targets.runs[0]


def resume(run: Path) -> Trainer:
    return resume_training(RunDirectory.open(run)).trainer


def change_tensors(targets: FuzzTargets, path: Path, change: Callable[[Arrays], None]) -> None:
    tensors = load(targets.original[path])
    change(tensors)
    targets.put(path, save(tensors))
    targets.update_manifests(targets.runs[0])


def change_document(
    targets: FuzzTargets, path: Path, change: Callable[[dict[str, Any]], None]
) -> None:
    document = json.loads(targets.original[path])
    change(document)
    targets.put(path, sealed_bytes(document))
    targets.update_manifests(targets.runs[0], but=str(path.relative_to(targets.runs[0])))


def scalar(tensors: Arrays) -> None:
    tensors["model.0.exp_avg"] = np.array(0, np.float32)


def without(tensors: Arrays) -> None:
    del tensors["model.0.exp_avg_sq"]


def negative(tensors: Arrays) -> None:
    for what in ("step", "exp_avg", "exp_avg_sq"):
        tensors[f"model.-1.{what}"] = tensors[f"model.0.{what}"]


def beyond(tensors: Arrays) -> None:
    tensors["model.99.step"] = tensors["model.0.step"]


def foreign(tensors: Arrays) -> None:
    tensors["model.0.momentum_buffer"] = tensors["model.0.exp_avg"]


def wider(tensors: Arrays) -> None:
    tensors["model.0.exp_avg"] = tensors["model.0.exp_avg"].astype(np.float64)


def several(tensors: Arrays) -> None:
    tensors["model.0.step"] = np.zeros(4, np.float32)


@pytest.mark.parametrize("change", [scalar, without, negative, beyond, foreign, wider, several])
def test_moments_that_are_not_their_weights_are_refused(
    targets: FuzzTargets, run: Path, change: Callable[[Arrays], None]
) -> None:
    """Once, they were accepted, and torch wrote out of bounds in the next step."""
    change_tensors(targets, run / CHECKPOINT / "training.safetensors", change)
    with pytest.raises(CheckpointError, match="model"):
        resume(run)


@pytest.mark.parametrize("pushed", [-1, -(2**63), 2**62])
def test_a_queue_that_was_filled_impossibly_often_is_refused(
    targets: FuzzTargets, run: Path, pushed: int
) -> None:
    def change(tensors: Arrays) -> None:
        tensors["pushed"] = np.array(pushed)

    change_tensors(targets, run / CHECKPOINT / "critic.safetensors", change)
    with pytest.raises(CheckpointError, match="'pushed'"):
        resume(run)


def test_an_infinite_average_is_refused(targets: FuzzTargets, run: Path) -> None:
    def change(tensors: Arrays) -> None:
        tensors["log_partition"] = np.array(np.inf, np.float32)

    change_tensors(targets, run / CHECKPOINT / "critic.safetensors", change)
    with pytest.raises(CheckpointError, match="'log_partition'"):
        resume(run)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("decays", 10**12),  # once, the learning rate was halved this many times
        ("epoch", 10**400),
        ("step", 10**400),
        ("position", 2**64),
        ("window", {"sums": [1e39, 0.0, 0.0]}),
    ],
)
def test_counters_that_no_training_leaves_are_refused(
    targets: FuzzTargets, run: Path, name: str, value: object
) -> None:
    def change(document: dict[str, Any]) -> None:
        document["state"][name] = value

    change_document(targets, run / CHECKPOINT / "state.json", change)

    def attempt() -> None:
        with pytest.raises(CheckpointError, match=rf"state\.json.*{name}"):
            resume(run)

    assert seconds(attempt) < 2


@pytest.mark.parametrize(
    ("section", "settings"),
    [
        ("critic", {"network": {"kind": "separable", "hidden_size": 65_536}}),
        ("critic", {"network": {"kind": "concatenated", "hidden_size": 65_536}}),
        ("critic", {"queue_size": 1_000_000}),
        ("model", {"encoder": {"kind": "lstm", "hidden_size": 65_536}}),
        ("model", {"encoder": {"kind": "gru", "hidden_size": 65_536, "layers": 64}}),
        ("model", {"decoder": {"kind": "transformer", "width": 65_536, "layers": 64}}),
        ("model", {"latent_size": 65_536}),
    ],
)
def test_what_a_configuration_claims_and_the_weights_lack_takes_no_memory(
    targets: FuzzTargets, run: Path, section: str, settings: dict[str, Any]
) -> None:
    """Once, a critic of 17 GiB was built before its file was checked."""

    def change(document: dict[str, Any]) -> None:
        document["config"][section] |= settings

    resume(run)
    change_document(targets, run / "config.json", change)
    with check_memory(), pytest.raises(CheckpointError, match="safetensors"):
        resume(run)


def test_counts_of_a_corpus_are_counts(targets: FuzzTargets, run: Path) -> None:
    def change(document: dict[str, Any]) -> None:
        document["splits"]["train"]["tokens"] = "many"

    path = run / "data" / "corpus.json"
    change_document(targets, path, change)
    with pytest.raises(CheckpointError, match="count"):
        _ = RunDirectory.open(run).open_corpus()


@pytest.mark.parametrize("value", [0, -5])
def test_a_sentence_of_a_corpus_has_a_word(targets: FuzzTargets, run: Path, value: int) -> None:
    path = run / "data" / "train.offsets.npy"
    offsets = np.load(path)
    offsets[1] = value
    targets.put(path, npy_bytes(offsets))
    targets.update_manifests(run)
    with pytest.raises(CheckpointError, match="offsets"):
        _ = RunDirectory.open(run).open_corpus()


def test_the_size_of_a_corpus_is_not_counted_beyond_64_bits(
    targets: FuzzTargets, run: Path
) -> None:
    """The size of 2^62 more ids of 4 bytes wraps around to the same number."""
    path = run / "data" / "corpus.json"
    for split in ("train", "valid", "test"):
        tokens = np.fromfile(run / "data" / f"{split}.tokens", "<u2")
        targets.put(run / "data" / f"{split}.tokens", tokens.astype("<u4").tobytes())
    body = json.loads(targets.original[path]) | {"dtype": "<u4"}
    offsets = np.load(run / "data" / "train.offsets.npy")

    def opened() -> object:
        for name in body["files"]:
            content = (run / "data" / name).read_bytes()
            body["files"][name] = entry_of(content).model_dump()
        targets.put(path, sealed_bytes(body))
        targets.update_manifests(run, but="data/corpus.json")
        return RunDirectory.open(run).open_corpus()

    assert opened()
    offsets[-1] += 2**62
    targets.put(run / "data" / "train.offsets.npy", npy_bytes(offsets))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # as outside of tests
        with pytest.raises(CheckpointError, match="offsets"):
            opened()


@pytest.mark.parametrize("version", [b"\x02\x00", b"\x03\x00"])
def test_a_header_that_claims_gigabytes_takes_none(
    targets: FuzzTargets, run: Path, tmp_path: Path, version: bytes
) -> None:
    content = b"\x93NUMPY" + version + struct.pack("<I", 2**32 - 1) + b"{}" * 50
    for name in ("x.npy", "z.npy"):
        (tmp_path / name).write_bytes(content)
    with zipfile.ZipFile(tmp_path / "pairs.npz", "w") as archive:
        archive.writestr("x.npy", content)
        archive.writestr("z.npy", content)
    targets.put(run / "data" / "train.offsets.npy", content)
    targets.update_manifests(run)
    with check_memory():
        with pytest.raises(DataError, match="header of 4,294,967,295 bytes"):
            read_pairs([tmp_path / "x.npy", tmp_path / "z.npy"])
        with pytest.raises(DataError, match="header of 4,294,967,295 bytes"):
            read_pairs([tmp_path / "pairs.npz"])
        with pytest.raises(CheckpointError, match="header of 4,294,967,295 bytes"):
            _ = RunDirectory.open(run).open_corpus()


def test_a_dictionary_that_claims_gigabytes_takes_none(tmp_path: Path) -> None:
    with io.BytesIO() as file:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_LZMA) as archive:
            for name in ("x.npy", "z.npy"):
                archive.writestr(name, npy_bytes(np.ones((60, 2))))
        content = bytearray(file.getvalue())
    header = content.index(b"x.npy") + len(b"x.npy")
    content[header + 5 : header + 9] = b"\xf0\xff\xff\xff"  # after a version and properties
    (tmp_path / "pairs.npz").write_bytes(content)
    with check_memory(), pytest.raises(DataError, match="pairs"):
        read_pairs([tmp_path / "pairs.npz"])


def test_a_signalling_nan_is_read_without_a_remark(tmp_path: Path) -> None:
    values = np.full(60, np.nan, np.longdouble)
    bits = values.view(np.uint8).reshape(60, -1)
    bits[:, :10] = [1, 0, 0, 0, 0, 0, 0, 0x80, 0xFF, 0x7F]
    for name in ("x.npy", "z.npy"):
        np.save(tmp_path / name, values)
    assert read_pairs([tmp_path / "x.npy", tmp_path / "z.npy"]).x.absent().all()


@pytest.mark.parametrize(
    "name", ["meta", "hpu", "privateuseone", "mkldnn", "xla", "cpu:300", "cuda:99999999999", ""]
)
def test_devices_that_compute_nothing_are_errors_to_mend(name: str) -> None:
    with pytest.raises(ConfigError, match="device"):
        resolve_device(name)
    assert resolve_device("cpu").type == resolve_device("cpu:0").type == "cpu"


def test_weights_are_drawn_on_a_scale_that_single_precision_holds() -> None:
    with pytest.raises(ConfigError, match="init_scale"):
        read_config(overrides=["model.init_scale=1e39"])
    assert read_config(overrides=["model.init_scale=0.01"]).model.init_scale == 0.01


def test_a_template_may_name_a_path_of_many_dots(tmp_path: Path) -> None:
    config = read_config(options={"data.train": "/" + "../" * 60 + "corpus.txt"})
    (tmp_path / "config.toml").write_text(template(config))
    assert read_config(file=tmp_path / "config.toml") == config


LETTERS = np.random.default_rng(0).integers(97, 123, 2**20, np.uint8)


@pytest.mark.parametrize(
    "line",
    [
        LETTERS.tobytes().decode(),  # which took hours
        " ".join(map(chr, LETTERS[: 2**19])),  # which took half a gigabyte
        "a" + " " * 2**20 + "b",
        "日本語" * 10**5,
    ],
    ids=["base64", "letters", "spaces", "Japanese"],
)
def test_a_line_of_a_megabyte_becomes_tokens_in_moderate_time_and_memory(line: str) -> None:
    with check_memory():
        started = time.process_time()
        tokenizer = train_tokenizer([line] * 2, BPETokenizerConfig(vocab_size=300))
        [ids] = tokenizer.encode([line])
        assert time.process_time() - started < 8
    assert tokenizer.decode(ids) == line


@given(
    st.lists(
        st.sampled_from(
            ["a", "the", "it's", "12", "...", "é", "日本", " ", "  ", "\t", "\x1c", "\xa0"]
        )
    ).map(" ".join),
    st.integers(1, 12),
)
def test_long_sentences_have_the_tokens_that_they_would_have_in_one_piece(
    text: str, longest: int
) -> None:
    tokenizer = train_tokenizer(["the cat's 12 hats ... the cat"] * 3, BPETokenizerConfig())
    whole = tokenizer.encode([text])
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(module, "MAX_PART", longest)
        assert tokenizer.encode([text]) == whole
