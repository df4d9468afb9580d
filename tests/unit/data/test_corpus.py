"""Readers: all formats give the same sentences, and errors name file and line."""

import csv
import gzip
import hashlib
import io
import json
import math
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mivae_cli.config.data import DataConfig
from mivae_cli.data.corpus import (
    hash_shares,
    locate_splits,
)
from mivae_cli.data.file_formats import text_file
from mivae_cli.data.ingestion import content_hash, hashed_files, split_chunks
from mivae_cli.data.records import TextRecords
from mivae_cli.errors import DataError
from support.texts import read_sentences

CONFIG = DataConfig()
SENTENCES = ["The cat sat.", "Ünïcode, too: 猫!", 'She said "no".']


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("corpus")


def read(path: Path, content: bytes, config: DataConfig = CONFIG) -> list[str]:
    path.write_bytes(content)
    return list(read_sentences(path, config))


def one_line(text: str) -> str:
    return " ".join(text.splitlines()).strip()


def kept(texts: list[str]) -> list[str]:
    return [line for text in texts if (line := one_line(text))]


characters = st.characters(codec="utf-8", exclude_characters="\0\ufeff")
lines = st.lists(st.text(characters.filter(lambda char: char not in "\r\n")))
fields = st.lists(st.text(characters))


@given(lines, st.sampled_from(["\n", "\r\n", "\r"]), st.booleans())
def test_all_line_endings_separate_sentences(
    folder: Path, chosen: list[str], end: str, bom: bool
) -> None:
    content = "".join(line + end for line in chosen).encode("utf-8-sig" if bom else "utf-8")
    expected = [line.strip() for line in chosen if line.strip()]
    config = DataConfig(format="text")  # otherwise a line such as {} is detected as JSON
    assert read(folder / "lines.txt", content, config) == expected
    assert read(folder / "lines.txt.gz", gzip.compress(content, 1), config) == expected


@given(fields, st.booleans())
def test_a_field_of_a_json_line_is_a_sentence(
    folder: Path, chosen: list[str], escaped: bool
) -> None:
    content = "\n".join(json.dumps({"text": text}, ensure_ascii=escaped) for text in chosen)
    assert read(folder / "fields.jsonl", content.encode()) == kept(chosen)


@given(fields, st.sampled_from([("csv", ","), ("tsv", "\t")]))
def test_a_cell_of_a_table_is_a_sentence(
    folder: Path, chosen: list[str], form: tuple[str, str]
) -> None:
    extension, delimiter = form
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, delimiter=delimiter)
    writer.writerow(["id", "text"])
    writer.writerows([number, text] for number, text in enumerate(chosen))
    content = buffer.getvalue().encode()
    config = DataConfig(quoting="minimal")
    assert read(folder / f"cells.{extension}", content, config) == kept(chosen)


@pytest.mark.parametrize("name", ["a.txt", "a", "a.text", "a.TXT.GZ", "a.v2.txt.gz", "a.gz"])
def test_other_files_are_read_as_lines(name: str, tmp_path: Path) -> None:
    content = "\n".join(SENTENCES).encode()
    content = gzip.compress(content) if name.lower().endswith("gz") else content
    assert read(tmp_path / name, content) == SENTENCES


def test_blank_lines_are_passed_over(tmp_path: Path) -> None:
    assert read(tmp_path / "a.txt", b"\n  \none\n\t\r\n\n two \n") == ["one", "two"]


class TestNumbers:
    def numbered(self, path: Path, content: str) -> list[tuple[int, str]]:
        path.write_text(content, encoding="utf-8", newline="")
        return list(TextRecords(path, CONFIG).numbered())

    @given(st.lists(st.sampled_from(["", " ", "one", " two ", "a\u2028b", "c\u000bd"])))
    def test_a_sentence_has_the_number_of_its_line(self, folder: Path, chosen: list[str]) -> None:
        found = self.numbered(folder / "numbered.txt", "\n".join(chosen))
        assert found == [
            (number, line.strip()) for number, line in enumerate(chosen, start=1) if line.strip()
        ]

    def test_blank_lines_between_records_count(self, tmp_path: Path) -> None:
        found = self.numbered(tmp_path / "a.jsonl", '\n{"text": "one\\ntwo"}\n\n"three"\n""\n')
        assert found == [(2, "one two"), (4, "three")]

    @pytest.mark.parametrize("end", ["\n", "\r\n"])
    def test_a_row_has_the_number_of_its_last_line(self, end: str, tmp_path: Path) -> None:
        lines = ["", "id,text", "1,one", "", '2,"two', 'too"', '"3', '",three', "4,", "5,five"]
        found = self.numbered(tmp_path / "a.csv", end.join(lines))
        assert found == [(3, "one"), (6, "two too"), (8, "three"), (10, "five")]


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\xef\xbb\xbf", b"\xef\xbb\xbf\r\n"])
def test_a_file_of_nothing_holds_no_sentences(content: bytes, tmp_path: Path) -> None:
    assert read(tmp_path / "a.txt", content) == []
    assert read(tmp_path / "a.txt.gz", gzip.compress(content)) == []


class TestJSONLines:
    def test_the_field_is_chosen_by_name(self, tmp_path: Path) -> None:
        content = b'{"text": "wrong", "body": "right"}\n\n{"body": "too"}\n'
        config = DataConfig(field="body")
        assert read(tmp_path / "a.jsonl", content, config) == ["right", "too"]

    def test_a_line_that_is_a_string_is_the_sentence(self, tmp_path: Path) -> None:
        assert read(tmp_path / "a.jsonl", b'"one"\n{"text": "two"}\n') == ["one", "two"]

    def test_line_ends_inside_a_text_become_spaces(self, tmp_path: Path) -> None:
        content = b'{"text": "one\\ntwo\\r\\nthree\\rfour"}'
        assert read(tmp_path / "a.jsonl", content) == ["one two three four"]

    def test_a_byte_order_mark_is_no_part_of_the_json(self, tmp_path: Path) -> None:
        assert read(tmp_path / "a.jsonl", b'\xef\xbb\xbf{"text": "one"}\r\n') == ["one"]

    @pytest.mark.parametrize(
        "line",
        [
            b"{'text': 'quotes'}",
            b"plain text",
            b'{"text": "cut',
            b"[" * 100_000,
            b'{"text": "x", "id": ' + b"9" * 5000 + b"}",
            b'{"text": "half \\ud83d"}',
        ],
        ids=["quotes", "plain", "cut", "deep", "long number", "surrogate"],
    )
    def test_a_line_that_is_not_json_is_named(self, line: bytes, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="line 3"):
            read(tmp_path / "a.jsonl", b'{"text": "good"}\n\n' + line + b"\n")

    def test_a_missing_field_lists_those_that_are_there(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"line 2.*'text'.*'body'.*--field"):
            read(tmp_path / "a.jsonl", b'{"text": "good"}\n{"body": "x"}')

    def test_of_many_fields_some_are_listed(self, tmp_path: Path) -> None:
        line = json.dumps({"x" * 10_000: 1} | {str(number): 1 for number in range(1000)})
        with pytest.raises(DataError, match="and 989 more") as caught:
            read(tmp_path / "a.jsonl", line.encode())
        assert len(str(caught.value)) < 1000

    @pytest.mark.parametrize(
        ("value", "kind"),
        [
            ("3", "number"),
            ("null", "null"),
            ("[1, 2]", "array"),
            ("true", "true"),
            ('{"text": null}', "null"),
            ('{"text": 3}', "number"),
            ('{"text": ["a"]}', "array"),
            ('{"text": {"body": "a"}}', "'body'"),
        ],
    )
    def test_a_file_that_is_not_text_is_named(self, value: str, kind: str, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=rf"line 2.*{kind}"):
            read(tmp_path / "a.jsonl", f'"good"\n{value}'.encode())


class TestTables:
    def test_the_column_is_chosen_by_name(self, tmp_path: Path) -> None:
        content = b"text,body\nwrong,right\n"
        assert read(tmp_path / "a.csv", content, DataConfig(column="body")) == ["right"]

    def test_a_row_of_blank_cells_is_empty(self, tmp_path: Path) -> None:
        content = b"id,text\n1,one\n,\n\n3,\n , , ,\n4,four\n"
        assert read(tmp_path / "a.csv", content) == ["one", "four"]

    def test_a_cell_may_span_lines_of_any_end(self, tmp_path: Path) -> None:
        content = b'id,text\r\n1,"one\r\ntwo"\r\n2,"say ""hi"""\r\n'
        assert read(tmp_path / "a.csv", content) == ["one two", 'say "hi"']

    def test_a_byte_order_mark_does_not_hide_the_first_column(self, tmp_path: Path) -> None:
        assert read(tmp_path / "a.csv", b"\xef\xbb\xbftext,id\r\none,1\r\n") == ["one"]

    def test_a_long_page_is_one_cell(self, tmp_path: Path) -> None:
        page = "word " * 40_000
        assert read(tmp_path / "a.csv", f"id,text\n1,{page}\n".encode()) == [page.strip()]

    def test_a_missing_column_lists_those_that_are_there(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"'text'.*'id', 'body'.*--column"):
            read(tmp_path / "a.csv", b"id,body\n1,one\n")

    def test_a_table_of_nothing_has_no_columns(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="empty table"):
            read(tmp_path / "a.csv", b"")

    def test_a_quote_that_is_never_closed_swallows_nothing_in_silence(
        self, tmp_path: Path
    ) -> None:
        with pytest.raises(DataError, match="not a table"):
            read(tmp_path / "a.csv", b'id,text\n1,"one\n2,two\n3,three\n')

    def test_a_bare_carriage_return_ends_a_row(self, tmp_path: Path) -> None:
        assert read(tmp_path / "a.csv", b"id,text\r1,one\r2,two\r") == ["one", "two"]
        with pytest.raises(DataError, match="line 4"):
            read(tmp_path / "a.csv", b"id,text\n1,one\n2,t\rwo\n")


class TestBytesThatAreNoText:
    @pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "utf-16-le"])
    @pytest.mark.parametrize("name", ["a.txt", "a.jsonl", "a.csv", "a.txt.gz"])
    def test_utf16_is_refused(self, encoding: str, name: str, tmp_path: Path) -> None:
        content = '{"text": "é"}\n'.encode(encoding)
        content = gzip.compress(content) if name.endswith("gz") else content
        with pytest.raises(DataError, match="UTF-16" if encoding == "utf-16" else "zero byte"):
            read(tmp_path / name, content)

    def test_a_zero_byte_names_its_line(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"line 2.*zero byte"):
            read(tmp_path / "a.txt", b"one\ntw\0o\n")

    def test_a_byte_that_is_not_utf8_is_named_with_its_line(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"not UTF-8: line 3, byte 4 .* 0xe9"):
            read(tmp_path / "a.txt", "naïve\n\n".encode() + "café\n".encode("latin-1"))

    def test_an_overlong_encoding_is_not_utf8(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="line 1"):
            read(tmp_path / "a.txt", b"\xc0\xaf\n")


class TestDamagedFiles:
    content = "\n".join(f"sentence {number} of many" for number in range(2000)).encode()

    @pytest.mark.parametrize("cut", [1, 4, 9, 100, 2000])
    def test_a_truncated_gz_is_an_error(self, cut: int, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"cannot read .*a\.txt\.gz"):
            read(tmp_path / "a.txt.gz", gzip.compress(self.content)[:-cut])

    @pytest.mark.parametrize("place", [0, 1, 2, 60, -6])
    def test_a_damaged_gz_is_an_error(self, place: int, tmp_path: Path) -> None:
        damaged = bytearray(gzip.compress(self.content))
        damaged[place] ^= 0xFF
        with pytest.raises(DataError, match="cannot read"):
            read(tmp_path / "a.txt.gz", bytes(damaged))

    def test_text_that_calls_itself_gz_is_an_error(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="cannot read"):
            read(tmp_path / "a.txt.gz", b"plain")

    def test_a_missing_file_is_an_error(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="absent"):
            list(read_sentences(tmp_path / "absent.txt", CONFIG))


class TestFolders:
    @pytest.mark.parametrize("valid", ["valid.txt", "validation.jsonl", "val.tsv", "dev.csv.gz"])
    def test_the_splits_of_a_folder_are_found_by_name(self, valid: str, tmp_path: Path) -> None:
        for name in ("train.txt.gz", valid, "test.txt", "notes.txt"):
            (tmp_path / name).touch()
        assert locate_splits(DataConfig(train=str(tmp_path))) == {
            "train": (tmp_path / "train.txt.gz",),
            "valid": (tmp_path / valid,),
            "test": (tmp_path / "test.txt",),
        }

    def test_a_folder_may_hold_the_training_text_alone(self, tmp_path: Path) -> None:
        (tmp_path / "train.txt").touch()
        assert locate_splits(DataConfig(train=str(tmp_path))) == {
            "train": (tmp_path / "train.txt",)
        }

    def test_a_folder_without_training_text_is_an_error(self, tmp_path: Path) -> None:
        (tmp_path / "valid.txt").touch()
        with pytest.raises(DataError, match=r"train\.txt"):
            locate_splits(DataConfig(train=str(tmp_path)))

    @pytest.mark.parametrize(
        "names",
        [
            ("train.txt", "train.csv"),
            ("train.txt", "train.txt.gz"),
            ("train.tsv", "valid.txt", "valid.jsonl"),
            ("train.txt", "valid.txt", "dev.txt"),
            ("train.txt", "test.txt", "test.TXT"),
        ],
    )
    def test_two_files_for_a_split_are_an_error(
        self, names: tuple[str, ...], tmp_path: Path
    ) -> None:
        for name in names:
            (tmp_path / name).touch()
        with pytest.raises(DataError) as error:
            locate_splits(DataConfig(train=str(tmp_path)))
        assert all(f"'{name}'" in str(error.value) for name in names[-2:])

    def test_a_named_file_decides_between_two_of_the_folder(self, tmp_path: Path) -> None:
        for name in ("train.txt", "valid.txt", "dev.txt"):
            (tmp_path / name).touch()
        config = DataConfig(train=str(tmp_path), valid=str(tmp_path / "dev.txt"))
        assert locate_splits(config)["valid"] == (tmp_path / "dev.txt",)

    @pytest.mark.parametrize("name", ["test.parquet", "valid.zip", "dev.txt.bz2", "train.pdf"])
    def test_a_split_that_cannot_be_read_is_an_error(self, name: str, tmp_path: Path) -> None:
        for each in (name, "train.txt")[: 1 if "train" in name else 2]:
            (tmp_path / each).touch()
        with pytest.raises(DataError, match=name):
            locate_splits(DataConfig(train=str(tmp_path)))

    def test_files_beside_the_splits_are_none(self, tmp_path: Path) -> None:
        for name in (
            "train.txt",
            "train.txt.md5",
            "train.labels.txt",
            "training.txt",
            "valid.log",
        ):
            (tmp_path / name).touch()
        assert locate_splits(DataConfig(train=str(tmp_path))) == {
            "train": (tmp_path / "train.txt",)
        }

    def test_a_file_that_is_named_wins_over_the_folder(self, tmp_path: Path) -> None:
        for name in ("train.txt", "valid.txt", "other.txt"):
            (tmp_path / name).touch()
        config = DataConfig(train=str(tmp_path), valid=str(tmp_path / "other.txt"))
        assert locate_splits(config)["valid"] == (tmp_path / "other.txt",)

    @pytest.mark.parametrize("split", ["train", "valid", "test"])
    def test_a_file_that_is_named_must_be_there(self, split: str, tmp_path: Path) -> None:
        (tmp_path / "train.txt").touch()
        names = {"train": str(tmp_path / "train.txt"), split: str(tmp_path / "absent.txt")}
        with pytest.raises(DataError, match="absent"):
            locate_splits(DataConfig.model_validate(names))

    @pytest.mark.parametrize("split", ["train", "valid", "test"])
    def test_a_name_that_no_file_can_have_is_an_error(self, split: str, tmp_path: Path) -> None:
        (tmp_path / "train.txt").touch()
        names = {"train": str(tmp_path / "train.txt"), split: "x" * 4000}
        with pytest.raises(DataError, match="File name too long"):
            locate_splits(DataConfig.model_validate(names))


class TestSplitOf:
    sentences = tuple(f"sentence {number}" for number in range(20_000))

    def splits(self, path: Path, valid: float, test: float) -> dict[str, set[str]]:
        """Writes the sentences to a file, and returns those of each split."""
        path.write_text("\n".join(self.sentences), encoding="utf-8")
        config, sources = (
            DataConfig(valid_share=valid, test_share=test),
            hashed_files({"train": (path,)}),
        )
        found: dict[str, set[str]] = {"train": set(), "valid": set(), "test": set()}
        for split, _, chunk in split_chunks(sources, config, ["train"]):
            found[split].update(chunk.sentences)
        return found

    @pytest.mark.parametrize("hash_seed", ["1", "2"])
    def test_every_process_splits_alike(self, hash_seed: str) -> None:
        code = (
            "from mivae_cli.data.corpus import hash_shares\n"
            "print(*hash_shares([f'sentence {number}' for number in range(200)]).tolist())"
        )
        found = subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | {"PYTHONHASHSEED": hash_seed},
            capture_output=True,
            check=True,
            text=True,
        ).stdout.split()
        assert list(map(float, found)) == hash_shares(self.sentences[:200]).tolist()

    @pytest.mark.parametrize(
        ("valid", "test"), [(0.05, 0.05), (0.3, 0.01), (0.0, 0.2), (0.2, 0.0), (0.0, 0.0)]
    )
    def test_shares_are_close_to_the_settings(
        self, valid: float, test: float, tmp_path: Path
    ) -> None:
        found = self.splits(tmp_path / "a.txt", valid, test)
        total = len(self.sentences)
        wanted: dict[str, float] = {"valid": valid, "test": test, "train": 1 - valid - test}
        for split, share in wanted.items():
            spread = math.sqrt(share * (1 - share) / total)  # standard error of a binomial share
            assert abs(len(found[split]) / total - share) <= 4 * spread, split

    def test_a_share_is_the_hash_as_a_fraction(self) -> None:
        expected = [
            int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest()) / 2**64
            for text in self.sentences[:500]
        ]
        assert hash_shares(self.sentences[:500]).tolist() == expected
        assert hash_shares([]).tolist() == []

    def test_a_larger_test_share_takes_nothing_out_of_the_test(self, tmp_path: Path) -> None:
        path = tmp_path / "a.txt"
        small, large = (self.splits(path, 0.3, test)["test"] for test in (0.1, 0.25))
        assert small < large
        assert self.splits(path, 0.0, 0.1)["test"] == small


@pytest.mark.parametrize(("name", "word"), [("-", "standard input"), ("folder", "folder"),
                                            ("pipe", "pipe"), ("/dev/null", "device"),
                                            ("missing", "not found")])  # fmt: skip
def test_a_path_that_is_not_a_file_is_an_error(name: str, word: str, tmp_path: Path) -> None:
    (tmp_path / "train.txt").write_text("one\ntwo\n")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    held_out = name if name == "-" else str(tmp_path / name)
    with pytest.raises(DataError, match=f"{re.escape(held_out)}.*{word}|{word}.*-"):
        locate_splits(DataConfig(train=str(tmp_path / "train.txt"), valid=held_out))


def test_a_text_that_is_all_hole_is_not_hashed(tmp_path: Path) -> None:
    with (tmp_path / "train.txt").open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(DataError, match="sparse"):
        content_hash(tmp_path / "train.txt")


def test_standard_input_is_kept_byte_for_byte_and_then_removed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    content = b"one\r\n\xff\0two"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    with text_file("-") as path:
        assert path.read_bytes() == content
    assert not path.exists()


def test_an_error_names_standard_input_and_no_temporary_file(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"one\ntw\xff\n")))
    with (
        pytest.raises(DataError, match=r"standard input.*line 2") as caught,
        text_file("-") as path,
    ):
        list(read_sentences(path, CONFIG))
    assert str(path) not in str(caught.value)


def test_standard_input_that_is_closed_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(DataError, match="closed"), text_file("-"):
        pass


def test_standard_input_that_would_block_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    os.write(writer, b"one\n")
    with open(reader, "rb") as stdin, open(writer, "wb"):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(stdin))
        with text_file("-") as path:
            assert path.read_bytes() == b"one\n"
