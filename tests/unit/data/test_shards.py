"""Large texts are encoded in shards: with the same result, and from where it was interrupted."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mivae_cli.config.data import BPETokenizerConfig, DataConfig, WordTokenizerConfig
from mivae_cli.data import cache, preparation, shard_workers, shards
from mivae_cli.data.corpus import locate_splits
from mivae_cli.data.ingestion import SourceChanged, SourceFile, content_hash, hashed_files
from mivae_cli.data.prepared_corpus import Corpus, prepare_corpus, preparing_corpus
from mivae_cli.data.shards import Shard, completed, encode_shard, plan, suitable
from mivae_cli.data.tokenizer import train_tokenizer
from mivae_cli.errors import DataError, StorageError
from mivae_cli.stages import Stage, finish

BPE = BPETokenizerConfig(vocab_size=300)
WORDS = WordTokenizerConfig(min_count=1)
ENDS = ["\n", "\r\n", "\n\n", "\r", " \n"]
LINES = [f"line {n} is{' very' * (n % 9)} long, été {n % 5}{ENDS[n % 5]}" for n in range(600)]


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "corpus.txt"
    path.write_bytes(b"\xef\xbb\xbf" + "".join(LINES).encode())
    return path


@pytest.fixture
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards, "SHARD_BYTES", 4_000)
    monkeypatch.setattr(preparation, "LARGE", 1)
    monkeypatch.setattr(preparation, "available_cores", lambda: 2)


def config_of(*paths: Path, **settings: object) -> DataConfig:
    settings = {"tokenizer": BPE, "valid_share": 0.1, "test_share": 0.1} | settings
    return DataConfig.model_validate({"train": list(map(str, paths)), **settings})


def interrupt(work: Generator[Stage, None, Corpus]) -> None:
    """Runs a preparation until a shard is complete."""
    while not (stage := next(work)).name.startswith("encoding") or not stage.done:
        pass


def contents(corpus: Corpus) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in corpus.folder.iterdir()}


class TestSameResult:
    @pytest.mark.parametrize(
        "settings",
        [{"max_tokens": 12}, {"tokenizer": WORDS, "max_tokens": 6, "too_long": "skip"}],
        ids=["bpe", "word"],
    )
    def test_shards_give_the_files_of_the_whole(
        self,
        settings: dict[str, object],
        text: Path,
        tmp_path: Path,
        request: pytest.FixtureRequest,
    ) -> None:
        config = config_of(text, **settings)
        whole = contents(prepare_corpus(config, tmp_path / "whole"))
        request.getfixturevalue("small_shards")
        stages: list[Stage] = []
        corpus = finish(preparing_corpus(config, tmp_path / "shards"), stages.append)
        assert contents(corpus) == whole
        size = text.stat().st_size
        assert {stage.total for stage in stages} == {size}
        assert stages[0].name == "training the tokenizer"
        for name in ("training the tokenizer", "encoding the text"):
            done = [stage.done for stage in stages if stage.name == name]
            assert (done[0], done[-1]) == (0, size)
            assert done == sorted(set(done))
        assert len(done) > size / 4_100
        assert [path.name for path in (tmp_path / "shards").iterdir()] == [corpus.folder.name]

    def test_several_files_and_named_splits_are_the_same_too(
        self, text: Path, tmp_path: Path, request: pytest.FixtureRequest
    ) -> None:
        other, held_out = tmp_path / "other.txt", tmp_path / "held-out.txt"
        other.write_text("".join(f"other {n}\n" for n in range(500)))
        held_out.write_text("\n".join(f"held out {n}" for n in range(20)))
        config = config_of(other, text, valid=str(held_out))
        whole = prepare_corpus(config, tmp_path / "whole")
        request.getfixturevalue("small_shards")
        cut = prepare_corpus(config, tmp_path / "shards")
        assert contents(cut) == contents(whole)
        assert cut.parts == whole.parts
        assert cut.rows == whole.rows

    def test_small_texts_and_other_formats_are_not_cut(self, text: Path, tmp_path: Path) -> None:
        config, size = config_of(text), text.stat().st_size
        [source] = hashed_files(locate_splits(config))["train"]
        assert suitable([source], config, size)
        assert not suitable([source], config, size + 1)
        for name in ("a.txt.gz", "a.csv", "a.jsonl"):
            (tmp_path / name).write_bytes(text.read_bytes())
            assert not suitable([source, SourceFile(tmp_path / name, "")], config, 1)
        assert preparation.LARGE >= 2**25


class TestPlan:
    @given(st.lists(st.sampled_from([b"\n", b"\r", b"a", b"word " * 30, b"\r\n"]), max_size=60))
    def test_shards_are_all_bytes_in_whole_lines(
        self, tmp_path_factory: pytest.TempPathFactory, parts: list[bytes]
    ) -> None:
        path = tmp_path_factory.getbasetemp() / "planned.txt"
        path.write_bytes(b"".join(parts))
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(shards, "SHARD_BYTES", 100)
            patched.setattr(shards, "MAX_SHARD_BYTES", 10**9)
            found = plan([SourceFile(path, content_hash(path))])
        content = path.read_bytes()
        pieces = [content[shard.start : shard.end] for shard in found]
        assert b"".join(pieces) == content
        assert all(piece.endswith(b"\n") for piece in pieces[:-1])
        assert [shard.number for shard in found] == list(range(len(found)))

    def test_a_text_without_line_feeds_is_not_cut(
        self, tmp_path: Path, small_shards: None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(shards, "MAX_SHARD_BYTES", 16_000)
        path = tmp_path / "mac.txt"
        path.write_text("".join(f"line {n}\r" for n in range(3_000)), newline="")
        assert plan([SourceFile(path, content_hash(path))]) == []
        assert sum(map(len, prepare_corpus(config_of(path)).stores.values())) == 3_000

    def test_a_text_that_has_changed_is_noticed(self, text: Path, tmp_path: Path) -> None:
        source = SourceFile(text, content_hash(text))
        [shard] = plan([source])
        tokenizer = train_tokenizer(LINES, BPE)
        text.write_bytes(text.read_bytes().replace(b"7", b"8"))
        with pytest.raises(SourceChanged):
            plan([source])
        with pytest.raises(SourceChanged):
            encode_shard(tmp_path, shard, tokenizer, config_of(text), (0.1, 0.1), np.dtype("<u2"))
        assert list(tmp_path.glob("shard-*")) == []


PREPARE = """
import sys
from pathlib import Path
from mivae_cli.config.data import DataConfig
from mivae_cli.data import preparation, shards
from mivae_cli.data.prepared_corpus import preparing_corpus
shards.SHARD_BYTES, preparation.LARGE, preparation.available_cores = 4_000, 1, lambda: 1
for stage in preparing_corpus(DataConfig.model_validate_json(sys.argv[1]), Path(sys.argv[2])):
    print(stage.name, stage.done, flush=True)
"""


class TestInterruption:
    def stages(self, config: DataConfig, place: Path) -> tuple[list[Stage], Corpus]:
        found: list[Stage] = []
        return found, finish(preparing_corpus(config, place), found.append)

    def test_a_killed_preparation_continues_with_the_shards_that_are_left(
        self, text: Path, tmp_path: Path, request: pytest.FixtureRequest
    ) -> None:
        config, place = config_of(text), tmp_path / "cache"
        whole = contents(prepare_corpus(config, tmp_path / "whole"))
        command = [sys.executable, "-c", PREPARE, config.model_dump_json(), str(place)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            done = [
                int(line.split()[-1]) for _, line in zip(range(4), process.stdout, strict=False)
            ]
            os.kill(process.pid, signal.SIGKILL)
        assert process.returncode == -signal.SIGKILL
        request.getfixturevalue("small_shards")
        stages, corpus = self.stages(config, place)
        assert {stage.name for stage in stages} == {"encoding the text"}
        assert stages[0].done >= done[-1] > 0
        assert contents(corpus) == whole
        assert [path.name for path in place.iterdir()] == [corpus.folder.name]

    def test_ctrl_c_keeps_the_draft_and_bad_text_does_not(
        self, text: Path, tmp_path: Path, small_shards: None
    ) -> None:
        config, place = config_of(text), tmp_path / "cache"
        for error, drafts in ((KeyboardInterrupt(), 1), (DataError("bad"), 0)):
            work = preparing_corpus(config, place)
            interrupt(work)
            with pytest.raises(type(error)):
                work.throw(error)
            assert len(list(place.iterdir())) == drafts

    def test_a_worker_that_dies_is_an_error_and_its_work_is_kept(
        self, text: Path, tmp_path: Path, small_shards: None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        config, place = config_of(text), tmp_path / "cache"
        with monkeypatch.context() as patched:
            patched.setattr(shard_workers, "SERVE", "raise SystemExit(3)")
            with pytest.raises(StorageError, match="code 3"):
                prepare_corpus(config, place)
        stages, _ = self.stages(config, place)
        assert stages[0] == Stage("encoding the text", 0, text.stat().st_size)

    def test_a_draft_of_another_plan_starts_again(
        self, text: Path, tmp_path: Path, small_shards: None
    ) -> None:
        config, place = config_of(text), tmp_path / "cache"
        whole = contents(prepare_corpus(config, tmp_path / "whole"))
        work = preparing_corpus(config, place)
        interrupt(work)
        work.close()
        [draft] = place.iterdir()
        record = json.loads((draft / cache.PLAN).read_bytes())
        (draft / cache.PLAN).write_text(json.dumps(record | {"mivae": "0.0.1"}))
        stages, corpus = self.stages(config, place)
        starts = [stage.name for stage in stages if not stage.done]
        assert starts == ["training the tokenizer", "encoding the text"]
        assert contents(corpus) == whole

    def test_an_old_draft_is_removed_and_that_of_another_corpus_is_kept_for_a_week(
        self, text: Path, tmp_path: Path, small_shards: None
    ) -> None:
        place = tmp_path / "cache"
        work = preparing_corpus(config_of(text), place)
        interrupt(work)
        work.close()
        [draft] = place.iterdir()
        other = prepare_corpus(config_of(text, max_tokens=7), place)
        assert {path.name for path in place.iterdir()} == {draft.name, other.folder.name}
        os.utime(draft / cache.PLAN, (1, 1))
        cache.remove_abandoned(place)
        assert [path.name for path in place.iterdir()] == [other.folder.name]


def test_a_shard_counts_as_complete_only_with_its_record(text: Path, tmp_path: Path) -> None:
    [shard] = plan([SourceFile(text, content_hash(text))])
    assert completed(tmp_path, shard) is None
    tokenizer = train_tokenizer(LINES, BPE)
    encode_shard(tmp_path, shard, tokenizer, config_of(text), (0.1, 0.1), np.dtype("<u2"))
    found = completed(tmp_path, shard)
    assert found is not None
    assert found.rows.sentences == sum(summary.sentences for summary in found.splits.values())
    assert (
        completed(tmp_path, Shard(0, "moved.txt", shard.start, shard.end, shard.digest)) == found
    )
    assert completed(tmp_path, Shard(0, shard.path, shard.start, shard.end, "other")) is None
    shard.file(tmp_path, "json").write_text("{")
    assert completed(tmp_path, shard) is None


def test_workers_load_no_torch() -> None:
    code = "import sys, mivae_cli.data.shards; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
