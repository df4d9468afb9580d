"""Fuzz targets: readers of untrusted files, as functions of bytes, for any fuzzer.

Each target must return a value or raise a `MivaeError` with a short message, within limits of time
and memory. `FuzzTargets` implements the targets listed in `TARGETS`.
"""

__all__ = ["TARGETS", "FuzzTargets", "Hang", "allowed", "check_memory", "seconds"]

import csv
import gzip
import io
import json
import re
import resource
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import pairwise
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar, get_args

import numpy as np
from safetensors.numpy import save

from mivae_cli.config.data import DataConfig
from mivae_cli.config.resolve import read_config, template
from mivae_cli.config.run import RunConfig
from mivae_cli.data.batches import ordered_batches
from mivae_cli.data.corpus import Split
from mivae_cli.data.file_formats import format_of
from mivae_cli.data.prepared_corpus import prepare_corpus
from mivae_cli.data.records import TextRecords
from mivae_cli.data.tokenizer import Tokenizer
from mivae_cli.errors import MivaeError
from mivae_cli.estimators.io.checks import check_variables
from mivae_cli.estimators.io.pairs import read_pairs
from mivae_cli.evaluation.sentence_values import SentenceValues
from mivae_cli.experiments.train_run import resume_training
from mivae_cli.experiments.verify import verify
from mivae_cli.generation.decoding import Decoding
from mivae_cli.generation.generate import generated, prior_samples
from mivae_cli.runs.create import create_run
from mivae_cli.runs.directory import RunDirectory
from mivae_cli.storage.lock import locked
from mivae_cli.storage.manifest import entry_of
from mivae_cli.storage.sealed_json import read_sealed
from mivae_cli.training.trainer import Trainer
from support.evaluated import sentence_values, stored
from support.hostile import (
    KEYS,
    PLAUSIBLE,
    TINY,
    TOML,
    WORDS,
    corpus_bytes,
    mutated_npy,
    npy_bytes,
    npz_bytes,
    rows_bytes,
    safetensors_bytes,
    sealed_bytes,
    table_bytes,
    toml_bytes,
)
from support.mutations import STRINGS, VALUES, Choices, mutated_bytes, mutated_json, mutated_text
from support.texts import read_sentences

T = TypeVar("T")

TARGETS = (
    "config",
    "overrides",
    "corpus",
    "tables",
    "documents",
    "weights",
    "arrays",
    "vocabulary",
    "journal",
    "pairs",
)
MAX_MESSAGE = 10_000  # characters
TIMEOUT = 300.0  # seconds per input; generous, for busy machines
MAX_RESIDENT = 300.0  # MiB that a target may add to the peak of resident memory
MAX_VIRTUAL = 2**30  # bytes that it may reserve

CHECKPOINT = "checkpoints/epoch-0001"
DOCUMENTS = {
    "config.json": "config",
    "manifest.json": "run",
    f"{CHECKPOINT}/manifest.json": "checkpoint",
    f"{CHECKPOINT}/state.json": "state",
    "data/corpus.json": "corpus",
    "eval.json": "evaluation",
    "environment.json": "environment",
}


class Hang(BaseException):
    """An input timed out."""


class FuzzTargets:
    """The targets, with two tiny runs and other files that they mutate."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._cache = folder / "cache"
        lines = [
            f"{who} {what} the {which} box .\n"
            for who in ("we", "you", "they", "some")
            for what in ("see", "open", "paint")
            for which in ("red", "old", "big", "blue", "new")
        ]
        self.text = folder / "sound.txt"
        self.text.write_text("".join(lines), encoding="utf-8")
        self.runs = [
            self._trained({"kind": "word", "min_count": 1}),
            self._trained({"kind": "bpe", "vocab_size": 300}),
        ]
        self.original = {
            path: path.read_bytes()
            for run in self.runs
            for path in run.rglob("*.*")
            if path.is_file()
        }
        self._touched: set[Path] = set()
        self.values = 0  # inputs that gave a value

    def __call__(self, name: str, data: bytes) -> None:
        """Runs a target on an input."""
        target: Callable[[Choices], object] = getattr(self, f"_{name}")
        try:
            if target(Choices(data)) is not None:
                self.values += 1
        finally:
            self.restore()

    def _config(self, choices: Choices) -> RunConfig | None:
        path = self.folder / "config.toml"
        path.write_bytes(toml_bytes(choices))
        return self._round_trip(allowed(lambda: read_config(file=path)))

    def _overrides(self, choices: Choices) -> RunConfig | None:
        keys = [*KEYS, *STRINGS]
        texts, options = [], {}
        for _ in choices.several(4):
            key = choices.pick(keys)
            match choices.below(4):
                case 0:
                    options[key] = choices.pick(VALUES)
                case 1:
                    texts.append(mutated_text(choices, f"{key}={choices.pick(TOML)}"))
                case 2:
                    texts.append(choices.rest().decode("utf-8", "surrogateescape"))
                case _:
                    key = choices.pick(KEYS)
                    texts.append(f"{key}={choices.pick((*PLAUSIBLE, *TOML))}")
        return self._round_trip(allowed(lambda: read_config(options=options, overrides=texts)))

    def _round_trip(self, config: RunConfig | None) -> RunConfig | None:
        """Checks that a configuration survives writing and reading as TOML."""
        if config is not None:
            path = self.folder / "template.toml"
            path.write_text(template(config), encoding="utf-8", newline="")
            # relative paths are relative to the file's folder
            again = read_config(file=path)
            texts = {name: getattr(config.data, name) for name in ("train", "valid", "test")}
            assert again.model_copy(update={"data": again.data.model_copy(update=texts)}) == config
        return config

    def _corpus(self, choices: Choices) -> object:
        ending = choices.pick((".txt", ".jsonl", ".csv", ".tsv"))
        packed = choices.one_in(4)
        path = self.folder / f"corpus{ending}{'.gz' if packed else ''}"
        path.write_bytes(corpus_bytes(choices, ending, packed))
        kinds: tuple[dict[str, Any], ...] = (
            {"kind": "word", "min_count": 1},
            {"kind": "bpe", "vocab_size": 280},
        )
        data = DataConfig.model_validate(
            {
                "train": str(path),
                "valid": str(self.text),
                "test": str(self.text),
                "max_tokens": 1_000_000,
                "tokenizer": choices.pick(kinds),
            }
        )
        read = allowed(lambda: list(read_sentences(path, data)))
        shutil.rmtree(self._cache, ignore_errors=True)
        corpus = allowed(lambda: prepare_corpus(data, self._cache))
        if corpus is None:
            return None
        assert read is not None  # preparing implies reading
        store, tokenizer = corpus["train"], corpus.tokenizer
        assert len(store) == len(read)
        for index, sentence in enumerate(read):
            assert sentence == sentence.strip() != ""
            ids = store.sentence(index)
            assert ids
            if len(sentence) < 10_000:
                assert ids == tokenizer.encode([sentence])[0], sentence
            if not tokenizer.by_word and len(ids) < data.max_tokens:
                assert tokenizer.decode(ids) == sentence
        return corpus

    def _tables(self, choices: Choices) -> object:
        """Checks row counts against an independent count."""
        ending = choices.pick((".csv", ".tsv", ".jsonl", ".json", ".txt", ".csv.gz", ""))
        data = DataConfig.model_validate(
            {
                "format": choices.pick(("auto", "auto", "auto", "text", "json", "csv", "tsv")),
                "delimiter": choices.pick(("auto", "auto", ",", ";", "tab", "|", "e")),
                "quoting": choices.pick(("auto", "minimal", "none")),
                "header": not choices.one_in(3),
                "column": choices.pick(("text", "1", "2", "b")),
                "field": choices.pick(("text", "text", "a.b")),
                "bad_rows": choices.pick(("skip", "skip", "skip", "stop")),
            }
        )
        path = self.folder / f"table{ending}"
        content = rows_bytes(choices, ending)
        path.write_bytes(gzip.compress(content, 1, mtime=0) if ending == ".csv.gz" else content)
        reader = TextRecords(path, data)
        found = allowed(lambda: list(reader))
        if found is None:
            return None
        counts = reader.counts
        assert len(found) == counts.rows - counts.empty - counts.malformed
        assert counts.rows == rows_in(
            content.decode("utf-8-sig"), format_of(path, data.format), data
        )
        assert not (counts.malformed and data.bad_rows == "stop")
        for number, record in enumerate(found):
            assert record.text == record.text.strip() != ""
            assert record.row > number
        assert all(one.row < other.row for one, other in pairwise(found))
        assert all(one.line <= other.line for one, other in pairwise(found))
        return reader if found else None

    def _documents(self, choices: Choices) -> object:
        run = choices.pick(self.runs)
        name = choices.pick(list(DOCUMENTS))
        path, original = run / name, self.original[run / name]
        if choices.one_in(4):  # damage without a valid checksum
            self.put(path, mutated_bytes(choices, original))
            if path.read_bytes() != original:
                kind: Any = DOCUMENTS[name]
                assert allowed(lambda: read_sealed(path, kind)) is None
        else:
            self.put(path, sealed_bytes(mutated_json(choices, json.loads(original))))
            if choices.one_in(4):
                other = run / choices.pick(list(DOCUMENTS))
                self.put(
                    other, sealed_bytes(mutated_json(choices, json.loads(self.original[other])))
                )
            self.update_manifests(run, but=name)
        return self._used(choices, run)

    def _weights(self, choices: Choices) -> object:
        run = choices.pick(self.runs)
        name = choices.pick(("model", "critic", "training", "sentences"))
        if name == "sentences":
            [path] = (run / "sentences").iterdir()
            content = safetensors_bytes(choices, self.original[path])
            with suppress(ValueError):
                return SentenceValues.of(content)
            return None
        path = run / CHECKPOINT / f"{name}.safetensors"
        self.put(path, safetensors_bytes(choices, self.original[path]))
        self.update_manifests(run)
        return self._used(choices, run)

    def _arrays(self, choices: Choices) -> object:
        run = choices.pick(self.runs)
        split = choices.pick(("train", "valid", "test"))
        for _ in choices.several(2):
            path = (
                run
                / "data"
                / choices.pick((f"{split}.offsets.npy", f"{split}.lines.npy", f"{split}.tokens"))
            )
            original = self.original[path]
            if path.suffix == ".npy":
                self.put(path, mutated_npy(choices, original))
            else:
                self.put(path, mutated_bytes(choices, original))
        self.update_manifests(run)
        return self._used(choices, run)

    def _vocabulary(self, choices: Choices) -> object:
        run = choices.pick(self.runs)
        path = run / "tokenizer.json"
        original = self.original[path]
        if choices.one_in(4):
            content = mutated_bytes(choices, original)
        else:
            content = json.dumps(mutated_json(choices, json.loads(original)), indent=2).encode()
        for place in (path, run / "data" / "tokenizer.json"):
            self.put(place, content)
        self.update_manifests(run)
        tokenizer = allowed(lambda: Tokenizer.load(path))
        if tokenizer is not None:
            texts = [choices.pick(WORDS).strip() or "the" for _ in range(3)]
            for ids, text in zip(tokenizer.encode(texts), texts, strict=True):
                assert all(0 < index < tokenizer.size for index in ids)
                said = tokenizer.decode(ids)
                assert tokenizer.by_word or said == text
        return self._used(choices, run)

    def _journal(self, choices: Choices) -> object:
        run = choices.pick(self.runs)
        journal, lock = run / "metrics.jsonl", run / "lock.json"
        if choices.one_in(2):
            self.put(journal, mutated_bytes(choices, self.original[journal]))
        else:
            holder = {"pid": 1, "host": choices.pick(("elsewhere", "localhost"))}
            content = json.dumps(mutated_json(choices, holder)).encode()
            if choices.one_in(4):
                content = mutated_bytes(choices, content)
            self.put(lock, choices.rest() if choices.one_in(4) else content)
        if choices.one_in(2):
            return self._used(choices, run)

        def held() -> bool:
            with locked(run):
                return lock.exists()

        taken = allowed(held)
        assert taken in (True, None)
        return taken

    def _pairs(self, choices: Choices) -> object:
        generator = np.random.default_rng(0)
        x, z = generator.normal(size=(60, 2)), generator.normal(size=60).astype(np.float32)
        ending = choices.pick((".npz", ".npy", ".csv", ".safetensors", ".tsv", ".csv.gz"))
        paths = [self.folder / f"pairs{ending}"]
        match ending:
            case ".npy":
                paths.append(self.folder / "other.npy")
                paths[0].write_bytes(mutated_npy(choices, npy_bytes(x)))
                paths[1].write_bytes(npy_bytes(z) if choices.one_in(2) else paths[0].read_bytes())
            case ".npz":
                paths[0].write_bytes(npz_bytes(choices, x, z))
            case ".safetensors":
                paths[0].write_bytes(safetensors_bytes(choices, save({"x": x, "z": z})))
            case _:
                paths[0].write_bytes(table_bytes(choices, ending, x, z))
        columns = choices.pick(((), ("1",), ("1-2",), ("x1", "x2"), choices.pick(STRINGS)))
        pairs = allowed(lambda: read_pairs(paths, x_columns=columns if ".csv" in ending else ()))
        if pairs is None:
            return None
        assert len(pairs.x) == len(pairs.z)
        checked = allowed(lambda: check_variables(pairs.x, pairs.z, drop_missing=True))
        assert checked is None or (checked.x.continuous.isfinite().all() and len(checked) >= 50)
        return pairs

    def _used(self, choices: Choices, path: Path) -> object:
        """Uses a run as a random command would."""

        def batches() -> object:
            corpus = RunDirectory.open(path).open_corpus()
            for split in get_args(Split):
                for _, batch in ordered_batches(corpus[split], 16):
                    assert batch.lengths.min() > 0
            return corpus

        def sample() -> object:
            run = RunDirectory.open(path / "checkpoints" / choices.pick(("best", "last")))
            model = run.load_model()
            z = prior_samples(2, model.prior, seed=0)
            return list(generated(model, run.load_tokenizer(), z, Decoding(max_tokens=4)))

        def resume() -> Trainer:
            trainer = resume_training(RunDirectory.open(path)).trainer
            state = trainer.state
            place = (state.epoch, state.position, state.earlier)
            batch = next(trainer.sampler.batches(*place), None)
            # more critic steps are allowed to take longer
            if batch is not None and trainer.config.critic.steps <= 3:
                for _ in range(2):
                    trainer.step(batch)
            return trainer

        def settings() -> object:
            run = RunDirectory.open(path)
            record = run.load_evaluation()
            values = run.load_sentence_values(record)
            assert values is None or len(values) == record["sentences"]
            return run.load_config(), run.find_checkpoint().best, record

        actions: tuple[Callable[[], object], ...] = (
            resume,
            sample,
            resume,
            batches,
            lambda: verify(RunDirectory.open(path)),
            settings,
        )
        return allowed(choices.pick(actions))

    def _trained(self, tokenizer: dict[str, Any]) -> Path:
        data = {
            "train": str(self.text),
            "tokenizer": tokenizer,
            "valid_share": 0.2,
            "test_share": 0.2,
        }
        training = TINY.training.model_copy(update={"epochs": 1})
        config = RunConfig.model_validate(TINY.model_dump() | {"data": data})
        corpus = prepare_corpus(config.data, self._cache)
        path = self.folder / str(tokenizer["kind"])
        run = create_run(path, config, corpus)
        once = config.model_copy(update={"training": training})
        for _ in Trainer(once, corpus).fit(run):
            pass
        values = sentence_values(8)
        run.write_evaluation(*stored(values, nll=1.0, rates=[0.5, 0.5]))
        # copy, because the cache may share files by hard links
        shutil.copytree(path, path.with_name("copy"))
        shutil.rmtree(path)
        path.with_name("copy").rename(path)
        return path

    def put(self, path: Path, content: bytes) -> None:
        """Replaces a file of a run."""
        self._touched.add(path)
        path.write_bytes(content)

    def update_manifests(self, run: Path, but: str = "") -> None:
        """Updates the checksums of all manifests, as an attacker would."""
        for folder, name in (
            (run / CHECKPOINT, "manifest"),
            (run / "data", "corpus"),
            (run, "manifest"),
        ):
            path = folder / f"{name}.json"
            if str(path.relative_to(run)) == but:
                continue
            document = json.loads(self.original[path])
            for file in document["files"]:
                document["files"][file] = entry_of((folder / file).read_bytes()).model_dump()
            if folder == run:
                with suppress(ValueError, LookupError, TypeError):
                    corpus = json.loads((run / "data" / "corpus.json").read_bytes())
                    document["corpus"] = corpus["checksum"]
            self.put(path, sealed_bytes(document))

    def restore(self) -> None:
        """Restores the original runs."""
        for run in self.runs:
            self._touched.add(run / "metrics.jsonl")
            for name in ("lock.json", "metrics.damaged.jsonl"):
                (run / name).unlink(missing_ok=True)
        for path in self._touched:
            if path in self.original:
                path.write_bytes(self.original[path])
        self._touched.clear()


def rows_in(text: str, form: str, data: DataConfig) -> int:
    """Returns the number of rows of a file without the readers of mivae."""
    lines = re.split("\r\n|\r|\n", text)
    match form:
        case "text":
            return len(lines) - (not lines[-1])
        case "json" if text.lstrip().startswith("["):
            return len(json.loads(text))
        case "json":
            return sum(1 for line in lines if line.strip())
    tabs = form == "tsv"
    delimiter = {"auto": "\t" if tabs else ",", "tab": "\t"}.get(data.delimiter, data.delimiter)
    if data.quoting == "none" or (data.quoting == "auto" and tabs):
        return sum(1 for line in lines if line) - data.header
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    return sum(1 for row in rows if row) - data.header


def allowed(attempt: Callable[[], T]) -> T | None:
    """Returns the result of an attempt, or None if it raises a valid MivaeError."""
    try:
        return attempt()
    except MivaeError as error:
        _check_rejection(error)
    return None


def _check_rejection(rejection: MivaeError) -> None:
    """Raises AssertionError unless a message is short and the cause is not a lack of memory."""
    assert 0 < len(str(rejection)) <= MAX_MESSAGE
    cause: BaseException | None = rejection
    while cause is not None:  # an allocation that failed is one that was attempted
        assert not isinstance(cause, MemoryError | Hang), repr(cause)
        assert "allocate" not in str(cause), repr(cause)
        cause = cause.__cause__ or cause.__context__


def seconds(attempt: Callable[[], object]) -> float:
    """Returns the CPU seconds of an attempt; raises Hang after a timeout."""

    def stop(signum: int, frame: FrameType | None) -> None:
        raise Hang(f"timeout after {TIMEOUT} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, TIMEOUT)
    started = time.process_time()
    try:
        attempt()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    return time.process_time() - started


@contextmanager
def check_memory() -> Iterator[None]:
    """Context manager that raises AssertionError if its body uses or reserves much memory.

    Reservations are limited on Linux only. The peak of virtual memory says nothing in a process that
    has drawn a chart: its JavaScript engine has reserved a terabyte.
    """
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")  # reset the peak of resident memory
    before, old = resident(), resource.getrlimit(resource.RLIMIT_AS)
    if reserved := virtual():
        resource.setrlimit(resource.RLIMIT_AS, (reserved + MAX_VIRTUAL, old[1]))
    try:
        yield
    except MemoryError as error:
        raise AssertionError("too much memory was reserved") from error
    finally:
        resource.setrlimit(resource.RLIMIT_AS, old)
    assert resident() - before < MAX_RESIDENT


def resident() -> float:
    """Returns the peak of resident memory in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


def virtual() -> int:
    """Returns the size of virtual memory in bytes; 0 if it is unknown."""
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmSize:"):
                return int(line.split()[1]) * 2**10
    return 0
