"""The cache: files that mivae did not write are never trusted, removed or overwritten."""

import gzip
import os
import shutil
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mivae_cli.config.data import BPETokenizerConfig, DataConfig
from mivae_cli.data import preparation
from mivae_cli.data import prepared_corpus as store
from mivae_cli.data.cache import MARKER, new_draft, publish, remove_abandoned, remove_entry
from mivae_cli.data.ingestion import split_chunks
from mivae_cli.data.prepared_corpus import SPLITS, Corpus, prepare_corpus
from mivae_cli.data.tokenizer import training_tokenizer
from mivae_cli.errors import ConfigError, DataError
from mivae_cli.storage.sealed_json import read_sealed, write_sealed
from support.program import Mivae

KEY = "0123456789abcdef" * 2
OLD = [f"the number {number} is old" for number in range(300)]
NEW = [f"the number {number} is new" for number in range(300)]  # the same number of bytes


def write(path: Path, sentences: list[str]) -> Path:
    content = "".join(f"{sentence}\n" for sentence in sentences).encode()
    path.write_bytes(gzip.compress(content, mtime=0) if path.suffix == ".gz" else content)
    return path


def config_of(path: Path, **settings: object) -> DataConfig:
    tokenizer = BPETokenizerConfig(vocab_size=300)
    return DataConfig.model_validate({"train": str(path), "tokenizer": tokenizer} | settings)


def texts(corpus: Corpus) -> set[str]:
    return {
        corpus.tokenizer.decode(corpus[split].sentence(place))
        for split in SPLITS
        for place in range(len(corpus[split]))
    }


def tree(folder: Path) -> dict[str, bytes | str]:
    return {
        str(path.relative_to(folder)): os.readlink(path)
        if path.is_symlink()
        else path.read_bytes()
        if path.is_file()
        else ""
        for path in folder.rglob("*")
    }


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def text(tmp_path: Path) -> Path:
    return write(tmp_path / "corpus.txt", OLD)


# ----------------------------------------------------------------- files of other programs


def foreign_folders(place: Path) -> None:
    """Creates folders, a week old, that do not belong to the cache."""
    for name in (".git", ".ssh", "my.project", "plain", KEY, f"{KEY}.abcdefgh", f"{KEY}-2"):
        (place / name / "inner").mkdir(parents=True)
        (place / name / "inner" / "key").write_text("precious")
        (place / name / "corpus.json").write_text('{"kind": "corpus"}')
    (place / f"{KEY}.12345678").mkdir()
    (place / f"{KEY}.12345678" / MARKER).touch()
    (place / f"{KEY}.12345678" / "thesis.txt").touch()
    (place / f"{KEY}.22345678").mkdir()
    (place / f"{KEY}.32345678").write_text("precious")
    (place / f"{KEY}.42345678").symlink_to(place / "plain")
    (place / "notes.txt").write_text("precious")
    for path in sorted(place.rglob("*"), reverse=True):
        os.utime(path, (time.time() - 7 * 86400,) * 2, follow_symlinks=False)


def test_a_cache_in_a_folder_of_others_removes_nothing_of_theirs(place: Path, text: Path) -> None:
    foreign_folders(place)
    before = tree(place)
    corpus = prepare_corpus(config_of(text), place)
    after = tree(place)
    assert {name: after[name] for name in before} == before
    assert {name.split("/")[0] for name in after.keys() - before.keys()} == {corpus.folder.name}


def test_not_even_a_dry_run_removes_anything(
    mivae: Mivae, place: Path, text: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    foreign_folders(place)
    before = tree(place)
    monkeypatch.setenv("MIVAE_CACHE", ".")
    monkeypatch.chdir(place)
    small = ["--set", "model.encoder.hidden_size=8", "--set", "model.decoder.hidden_size=8"]
    ran = mivae("train", text, "--dry-run", "--latent", "2", *small)
    assert ran.code == 0
    after = tree(place)
    assert {name: after[name] for name in before} == before


def put_file(entry: Path) -> None:
    entry.write_text("precious")


def put_link(entry: Path) -> None:
    entry.symlink_to(entry.parent.parent)


def put_dangling_link(entry: Path) -> None:
    entry.symlink_to("nowhere")


def put_folder(entry: Path) -> None:
    entry.mkdir()
    (entry / "tokenizer.json").write_text("precious")


def put_empty_folder(entry: Path) -> None:
    entry.mkdir()


def put_entry_with_notes(entry: Path) -> None:
    other = write(entry.parent.parent / "other.txt", NEW)
    shutil.copytree(prepare_corpus(config_of(other), entry.parent.parent / "second").folder, entry)
    (entry / "notes.txt").write_text("precious")


IN_PLACE = [
    put_file,
    put_link,
    put_dangling_link,
    put_folder,
    put_empty_folder,
    put_entry_with_notes,
]


@pytest.mark.parametrize("put", IN_PLACE)
def test_a_folder_that_occupies_an_entry_is_kept_and_named(
    place: Path, text: Path, put: Callable[[Path], None]
) -> None:
    config = config_of(text)
    entry = prepare_corpus(config, place).folder
    shutil.rmtree(entry)
    put(entry)
    before = tree(place)
    corpus = prepare_corpus(config, place)
    assert texts(corpus) == set(OLD)
    assert corpus.folder != entry
    [warning] = corpus.warnings
    assert f"'{entry}'" in warning
    after = tree(place)
    assert {name: after[name] for name in before} == before
    again = prepare_corpus(config, place)  # found in its other folder
    assert (again.folder, again.warnings) == (corpus.folder, corpus.warnings)
    assert tree(place) == after


def test_the_program_names_a_folder_that_occupies_an_entry(
    mivae: Mivae, place: Path, text: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MIVAE_CACHE", str(place))
    config = ["--tokenizer", "word", "--latent", "2"]
    assert mivae("train", text, *config, "--dry-run").code == 0
    [entry] = place.iterdir()
    shutil.rmtree(entry)
    entry.write_text("precious")
    ran = mivae("train", text, *config, "--dry-run")
    assert ran.code == 0
    assert str(entry) in ran.err.replace("\n", "")
    assert entry.read_text() == "precious"


# ------------------------------------------------------------------- contents of an entry


def test_an_entry_of_another_text_or_other_settings_is_not_believed(
    place: Path, tmp_path: Path, text: Path
) -> None:
    first = prepare_corpus(config_of(text), place).folder
    for other in (
        config_of(write(tmp_path / "b.txt", NEW)),
        config_of(text, max_tokens=3),
        config_of(text, valid=str(write(tmp_path / "v.txt", NEW))),
    ):
        shutil.rmtree(first)
        shutil.copytree(prepare_corpus(other, place).folder, first)
        corpus = prepare_corpus(config_of(text), place)
        assert (texts(corpus), corpus.folder, corpus.warnings) == (set(OLD), first, ())


@pytest.mark.parametrize("change", [{"key": KEY}, {"key": None}, {"sources": {"x": KEY}}])
def test_an_entry_with_wrong_claims_is_prepared_again(
    place: Path, text: Path, change: dict[str, object]
) -> None:
    folder = prepare_corpus(config_of(text), place).folder
    body = read_sealed(folder / "corpus.json", "corpus")
    for name in ("kind", "format", "mivae", "checksum"):
        del body[name]
    write_sealed(folder / "corpus.json", "corpus", body | change)
    changed = (folder / "corpus.json").read_bytes()
    assert texts(prepare_corpus(config_of(text), place)) == set(OLD)
    assert (folder / "corpus.json").read_bytes() != changed


def test_a_damaged_entry_is_replaced_and_nothing_is_left_of_it(place: Path, text: Path) -> None:
    folder = prepare_corpus(config_of(text), place).folder
    (folder / "train.tokens").write_bytes(b"")
    corpus = prepare_corpus(config_of(text), place)
    assert (corpus.folder, corpus.warnings) == (folder, ())
    assert [path.name for path in place.iterdir()] == [folder.name]
    assert MARKER not in {path.name for path in folder.iterdir()}


# --------------------------------------------------------- texts that change while being read


def rename_over(path: Path) -> None:
    write(path.with_name("x" + path.name), NEW).rename(path)


def rewrite(path: Path) -> None:
    """Keeps size and modification time."""
    before = path.stat()
    with path.open("r+b") as file:
        file.write(path.read_bytes().replace(b"old", b"new"))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def append(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"one more\n")


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def turn_link(path: Path) -> None:
    """A symbolic link changes, not a file."""
    write(path.with_name("other" + path.name), NEW)
    path.rename(path.with_name("first" + path.name))
    path.symlink_to("other" + path.name)


CHANGES = [rename_over, rewrite, append, truncate, turn_link]


@contextmanager
def between_passes(then: Callable[[], object], times: int = 1) -> Iterator[None]:
    """Runs an action between the two passes over the text, in the first preparations."""
    train, left = training_tokenizer, times

    def changed(*given: object) -> Generator[None, None, object]:
        nonlocal left
        trained = yield from train(*given)  # type: ignore[arg-type]
        if left:
            left -= 1
            then()
        return trained

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(preparation, "training_tokenizer", changed)
        yield


@pytest.mark.parametrize("change", CHANGES)
def test_a_text_that_changes_is_prepared_as_it_is_then(
    place: Path, text: Path, change: Callable[[Path], None]
) -> None:
    before = text.read_bytes()
    with between_passes(lambda: change(text)):
        corpus = prepare_corpus(config_of(text), place)
    [warning] = corpus.warnings
    assert f"'{text}'" in warning
    assert texts(corpus) == {line.strip() for line in text.read_text().splitlines()}
    assert len(list(place.iterdir())) == 1
    text.unlink()
    text.write_bytes(before)
    assert texts(prepare_corpus(config_of(text), place)) == set(OLD)


@pytest.mark.parametrize("name", ["train.txt", "train.txt.gz", "valid.txt", "test.txt.gz"])
def test_any_file_of_a_folder_may_change(place: Path, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "text"
    folder.mkdir()
    for split in SPLITS:
        write(folder / (name if name.startswith(split) else f"{split}.txt"), OLD)
    with between_passes(lambda: write(folder / name, NEW)):
        corpus = prepare_corpus(config_of(folder), place)
    assert texts(corpus) == {*OLD, *NEW}
    write(folder / name, OLD)
    assert texts(prepare_corpus(config_of(folder), place)) == set(OLD)


def test_a_text_that_is_another_for_a_moment_is_noticed(place: Path, text: Path) -> None:
    """The old text is back when the preparation ends."""

    def replaced_meanwhile(*given: object) -> Iterator[object]:
        content = text.read_bytes()
        rename_over(text)
        try:
            yield from split_chunks(*given)  # type: ignore[arg-type]
        finally:
            text.write_bytes(content)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(preparation, "split_chunks", replaced_meanwhile)
        with pytest.raises(DataError, match=str(text)):
            prepare_corpus(config_of(text), place)
    assert list(place.iterdir()) == []


@pytest.mark.parametrize("suffix", [".txt", ".jsonl", ".csv", ".tsv", ".txt.gz"])
def test_a_text_that_always_changes_is_an_error_that_names_it(
    place: Path, tmp_path: Path, suffix: str
) -> None:
    path = tmp_path / f"log{suffix}"
    rows = [f'{{"text": "{line}"}}' for line in OLD] if suffix == ".jsonl" else ["text", *OLD]

    def grow() -> None:
        rows.append(rows[-1])
        write(path, rows)

    grow()
    with between_passes(grow, times=9), pytest.raises(DataError) as caught:
        prepare_corpus(config_of(path), place)
    assert f"'{path}'" in str(caught.value)
    assert caught.value.exit_code == 3
    assert list(place.iterdir()) == []
    prepare_corpus(config_of(path), place)


# ----------------------------------------------------------------------------------- drafts


@contextmanager
def preparing_elsewhere(place: Path) -> Iterator[tuple[int, Path]]:
    """Context manager: another process writes a draft, and is killed at the end."""
    ready, told = os.pipe()
    if not (child := os.fork()):
        try:
            with new_draft(place, KEY) as draft:
                (draft / "train.tokens").touch()
                os.write(told, draft.name.encode())
                time.sleep(600)
        finally:
            os._exit(0)
    os.close(told)
    draft = place / os.read(ready, 100).decode()
    os.close(ready)
    try:
        yield child, draft
    finally:
        os.kill(child, 9)
        os.waitpid(child, 0)


def test_a_draft_is_removed_only_after_its_owner_has_died(place: Path) -> None:
    place.mkdir()
    with preparing_elsewhere(place) as (_, draft):
        for path in (*draft.iterdir(), draft):
            os.utime(path, (1, 1))
        remove_abandoned(place)
        assert {path.name for path in draft.iterdir()} == {MARKER, "train.tokens"}
    remove_abandoned(place)
    assert list(place.iterdir()) == []


def test_an_abandoned_draft_with_other_files_is_kept(place: Path) -> None:
    place.mkdir()
    with preparing_elsewhere(place) as (_, draft):
        (draft / "notes.txt").write_text("precious")
    remove_abandoned(place)
    assert {path.name for path in draft.iterdir()} == {MARKER, "train.tokens", "notes.txt"}


@pytest.mark.parametrize("link", [os.symlink, os.link], ids=["symbolic", "hard"])
def test_a_marker_that_is_a_link_marks_nothing(
    place: Path, tmp_path: Path, link: Callable[[Path, Path], None]
) -> None:
    (place / f"{KEY}.abcdefgh").mkdir(parents=True)
    (tmp_path / "precious").write_text("precious")
    link(tmp_path / "precious", place / f"{KEY}.abcdefgh" / MARKER)
    before = tree(tmp_path)
    remove_abandoned(place)
    assert tree(tmp_path) == before


def test_an_error_leaves_no_draft(place: Path) -> None:
    place.mkdir()
    drafts = new_draft(place, KEY)
    (drafts.__enter__() / "train.tokens").touch()
    assert not drafts.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert list(place.iterdir()) == []


def test_of_two_that_prepare_the_same_corpus_both_get_it(place: Path, text: Path) -> None:
    """The slower process uses the entry of the faster one."""
    other: list[Corpus] = []
    config = config_of(text)
    with between_passes(lambda: other.append(prepare_corpus(config, place))):
        mine = prepare_corpus(config, place)
    assert mine.folder == other[0].folder
    assert mine.warnings == ()
    assert texts(mine) == texts(other[0]) == set(OLD)
    assert [path.name for path in place.iterdir()] == [mine.folder.name]


def test_an_entry_that_is_replaced_meanwhile_is_not_removed(
    place: Path, text: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = prepare_corpus(config_of(text), place).folder
    good = shutil.copytree(entry, place / "good")
    (entry / "train.tokens").write_bytes(b"")
    rename = Path.rename

    def late(path: Path, target: Path) -> Path:
        if path == entry:
            shutil.rmtree(entry)
            rename(good, entry)
            monkeypatch.undo()
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", late)
    assert remove_entry(entry)
    monkeypatch.undo()
    assert texts(store.open_corpus(entry)) == set(OLD)


def test_publishing_does_not_overwrite(place: Path) -> None:
    (place / KEY).mkdir(parents=True)
    with new_draft(place, KEY) as draft:
        assert not publish(draft, place / KEY)
        assert publish(draft, place / f"{KEY}-2")
    assert sorted(path.name for path in place.iterdir()) == [KEY, f"{KEY}-2"]


@pytest.mark.parametrize("name", ["file", "link"])
def test_a_cache_that_is_not_a_folder_is_an_error(place: Path, text: Path, name: str) -> None:
    if name == "file":
        place.write_text("something else")
    else:
        place.symlink_to("nowhere")
    with pytest.raises(ConfigError, match=r"not a folder.*MIVAE_CACHE"):
        prepare_corpus(config_of(text), place)


def test_a_home_directory_is_looked_up_or_asked_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MIVAE_CACHE", "~/prepared")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert prepare_corpus(config_of(text)).folder.parent == tmp_path / "home" / "prepared"
    monkeypatch.delenv("MIVAE_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)  # no home directory
    with pytest.raises(ConfigError, match="MIVAE_CACHE"):
        prepare_corpus(config_of(text))


@pytest.mark.parametrize(("umask", "mode"), [(0o002, 0o775), (0o022, 0o755), (0o077, 0o700)])
def test_the_umask_decides_who_may_use_an_entry(
    place: Path, text: Path, umask: int, mode: int
) -> None:
    before = os.umask(umask)
    try:
        folder = prepare_corpus(config_of(text), place).folder
    finally:
        os.umask(before)
    assert folder.stat().st_mode & 0o777 == mode
    for path in folder.iterdir():
        assert path.stat().st_mode & 0o777 == mode & 0o666
