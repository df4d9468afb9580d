"""Records: rows = sentences + skipped rows, and errors name file and line."""

import csv
import io
import json
from pathlib import Path
from typing import Any, ClassVar, Literal

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mivae_cli.config.data import DataConfig
from mivae_cli.data.file_formats import EXTENSIONS, format_of
from mivae_cli.data.records import Record, RowCounts, TextRecords
from mivae_cli.errors import DataError

LINES = [f"a man number {number} walks ." for number in range(1, 41)]


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("records")


def read(path: Path, content: str, **settings: object) -> tuple[list[Record], RowCounts]:
    path.write_text(content, encoding="utf-8", newline="")
    records = TextRecords(path, DataConfig.model_validate(settings))
    found = list(records)
    assert len(found) == records.counts.sentences
    return found, records.counts


def texts(path: Path, content: str, **settings: object) -> list[str]:
    return [record.text for record in read(path, content, **settings)[0]]


class TestRowsOfAnotherLength:
    contents = (
        ("a.csv", "id,text\n1,one\n2,two, indeed\n3,three\n", 3),
        ("a.csv", "id,text\n1,one\n2\n3,three\n", 3),
        ("a.tsv", "id\ttext\n1\tone\n\n2\ttwo\tmore\n3\tthree\n", 4),
        ("a.tsv", "id\ttext\n1\tone\n\n2\n3\tthree\n", 4),
        ("a.csv", 'text\none\n"two\n2",two\nthree\n', 4),
    )

    @pytest.mark.parametrize(("name", "content", "line"), contents)
    def test_they_stop_the_reading(
        self, name: str, content: str, line: int, tmp_path: Path
    ) -> None:
        with pytest.raises(DataError, match=rf"{name}', line {line}, .*--bad-rows skip"):
            read(tmp_path / name, content)

    @pytest.mark.parametrize(("name", "content", "line"), contents)
    def test_or_are_skipped_and_counted(
        self, name: str, content: str, line: int, tmp_path: Path
    ) -> None:
        found, counts = read(tmp_path / name, content, bad_rows="skip")
        assert [(record.row, record.text) for record in found] == [(1, "one"), (3, "three")]
        assert (counts.rows, counts.empty, counts.malformed) == (3, 0, 1)


class TestHeaders:
    @pytest.mark.parametrize("column", ["text", "nosuch", "2"])
    def test_a_column_that_is_not_there_is_an_error(self, column: str, tmp_path: Path) -> None:
        content = "".join(f'"{line}"\n' for line in LINES)
        with pytest.raises(DataError, match=rf"a\.csv' has no column '{column}'.*--no-header"):
            read(tmp_path / "a.csv", content, column=column)

    def test_without_a_header_every_row_is_a_sentence(self, tmp_path: Path) -> None:
        content = "".join(f'"{line}"\n' for line in LINES)
        assert texts(tmp_path / "a.csv", content, header=False) == LINES

    def test_without_a_header_columns_have_numbers(self, tmp_path: Path) -> None:
        content = "".join(f"{number},{line}\n" for number, line in enumerate(LINES))
        assert texts(tmp_path / "a.csv", content, header=False, column="2") == LINES
        assert texts(tmp_path / "a.csv", content, header=False, column=2) == LINES
        for column in ("text", "0", "3", "-1", "²"):
            with pytest.raises(DataError, match="numbered from 1 to 2"):
                read(tmp_path / "a.csv", content, header=False, column=column)

    def test_a_column_has_a_number_beside_its_name(self, tmp_path: Path) -> None:
        assert texts(tmp_path / "a.csv", "id,note\n1,one\n", column="2") == ["one"]
        with pytest.raises(DataError, match="no column '2'"):  # 1 is a column name here
            read(tmp_path / "a.csv", "1,note\n1,one\n", column="2")

    def test_a_name_that_two_columns_have_is_an_error(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="2 columns named 'text'"):
            read(tmp_path / "a.csv", "text,text\none,two\n")
        assert texts(tmp_path / "a.csv", "text,text\none,two\n", column="2") == ["two"]

    def test_a_header_may_have_spaces_and_empty_cells(self, tmp_path: Path) -> None:
        assert texts(tmp_path / "a.csv", ", text ,\n1,one,x\n") == ["one"]


class TestDelimiters:
    content = "id;text\n" + "".join(f"{number};{line}\n" for number, line in enumerate(LINES))

    def test_another_one_is_suggested(self, tmp_path: Path) -> None:
        for delimiter, name in ((";", "';'"), ("\t", "tab"), ("|", "'|'")):
            with pytest.raises(DataError, match=rf"--delimiter {name}".replace("|", r"\|")):
                read(tmp_path / "a.csv", self.content.replace(";", delimiter))
        with pytest.raises(DataError, match="--delimiter ','"):
            read(tmp_path / "a.tsv", self.content.replace(";", ","))

    def test_a_line_for_spreadsheets_is_an_error(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"line 1\b.*'sep=;'"):
            read(tmp_path / "a.csv", f"sep=;\n{self.content}")

    def test_also_where_there_is_no_header(self, tmp_path: Path) -> None:
        rows = self.content.partition("\n")[2]
        with pytest.raises(DataError, match="--delimiter ';'"):
            read(tmp_path / "a.csv", rows, header=False)
        found = texts(tmp_path / "a.csv", rows, header=False, delimiter=",")
        assert found[0] == f"0;{LINES[0]}"

    @pytest.mark.parametrize("delimiter", [";", "|", "tab", "\t", r"\t", "\x01", "é"])
    def test_any_character_separates(self, delimiter: str, tmp_path: Path) -> None:
        tab = delimiter in ("tab", r"\t")
        content = self.content.replace(";", "\t" if tab else delimiter)
        assert texts(tmp_path / "a.csv", content, delimiter=delimiter) == LINES

    @pytest.mark.parametrize("delimiter", ["", ";;", '"', "\n", "\r", "\0", "tabs"])
    def test_what_does_not_is_refused(self, delimiter: str) -> None:
        with pytest.raises(ValueError, match="delimiter"):
            DataConfig(delimiter=delimiter)


class TestQuotes:
    def test_in_a_tsv_they_are_characters(self, tmp_path: Path) -> None:
        rows = [f"{number}\t{line}" for number, line in enumerate(LINES)]
        rows[8], rows[28], rows[30] = '8\t"opened', '28\tclosed"', '30\t"said"'
        found, counts = read(tmp_path / "a.tsv", "\n".join(["id\ttext", *rows]))
        assert len(found) == counts.rows == len(LINES)
        assert [found[place].text for place in (8, 28, 30)] == ['"opened', 'closed"', '"said"']

    @pytest.mark.parametrize("quoting", ["auto", "none", "minimal"])
    def test_those_that_a_tsv_keeps_are_counted(self, quoting: str, tmp_path: Path) -> None:
        content = 'id\ttext\n1\t"a cat"\n2\t"a dog"\n3\ttwo dogs\n'
        found, counts = read(tmp_path / "a.tsv", content, quoting=quoting)
        assert (found[0].text == "a cat") == (quoting == "minimal")
        assert counts.quoted == (2 if quoting == "auto" else 0)

    @pytest.mark.parametrize(
        ("name", "content", "option"),
        [
            ("a.tsv", '"id"\t"text"\n"1"\t"a cat"\n', "--quoting minimal"),
            ("a.csv", "id,;text;a\n1;a cat;b,\n", "--delimiter ';'"),
        ],
    )
    def test_a_header_that_reads_wrongly_tells_the_option(
        self, name: str, content: str, option: str, tmp_path: Path
    ) -> None:
        with pytest.raises(DataError, match=option):
            read(tmp_path / name, content)

    def test_quotes_as_csv_writes_them_must_be_chosen_in_a_tsv(self, tmp_path: Path) -> None:
        content = 'id\ttext\n1\t"she said ""hi"""\n2\ttwo\n'
        with pytest.raises(DataError, match=r"line 2.*--quoting minimal"):
            read(tmp_path / "a.tsv", content)
        minimal, none = (
            texts(tmp_path / "a.tsv", content, quoting=quoting) for quoting in ("minimal", "none")
        )
        assert minimal == ['she said "hi"', "two"]
        assert none == ['"she said ""hi"""', "two"]
        with pytest.raises(DataError, match=r"line 2.*--quoting minimal"):
            read(tmp_path / "a.tsv", 'id\ttext\n1\t"a\tb"\n')

    def test_a_quote_that_is_never_closed_is_an_error(self, tmp_path: Path) -> None:
        content = 'id,text\n1,one\n2,"two\n3,three\n4,four\n'
        with pytest.raises(DataError, match=r"a\.csv', line 3, .*--quoting none"):
            read(tmp_path / "a.csv", content)
        assert len(texts(tmp_path / "a.csv", content, quoting="none")) == 4

    @pytest.mark.parametrize("columns", [["id", "text"], ["text", "id"], ["a", "text", "b"]])
    def test_a_quote_closed_in_another_row_is_an_error(
        self, columns: list[str], tmp_path: Path
    ) -> None:
        place = columns.index("text")
        rows = []
        for number, line in enumerate(LINES):
            cells = [str(number)] * len(columns)
            cells[place] = {8: f'"{line}', 28: f'{line}"'}.get(number, line)
            rows.append(",".join(cells))
        content = "\n".join([",".join(columns), *rows])
        if place == 1:  # otherwise the quote closes inside a cell, which is a syntax error
            with pytest.raises(DataError, match=r"lines 10 to 30\b.*--quoting none"):
                read(tmp_path / "a.csv", content)
            assert read(tmp_path / "a.csv", content, quoting="minimal")[1].spanning == 1
        assert texts(tmp_path / "a.csv", content, quoting="none")[7:9] == [
            LINES[7],
            f'"{LINES[8]}',
        ]

    def test_a_cell_of_a_few_lines_is_no_error(self, tmp_path: Path) -> None:
        cell = "roses are red,\nviolets are blue,\nsugar, sweet\n\nand so are you"
        [record], _ = read(tmp_path / "a.csv", f'id,text\n1,"{cell}"\n')
        assert record.text == " ".join(cell.splitlines())

    def test_a_cell_of_several_lines_is_counted(self, tmp_path: Path) -> None:
        found, counts = read(tmp_path / "a.csv", 'id,text\n1,"one\nline"\n\n\n2,two\n"3\n",three')
        assert [(record.row, record.line, record.text) for record in found] == [
            (1, 3, "one line"),
            (2, 6, "two"),
            (3, 8, "three"),
        ]
        assert counts == RowCounts(rows=3, spanning=2)


class TestJSON:
    objects: ClassVar = [{"id": number, "text": line} for number, line in enumerate(LINES)]

    @pytest.mark.parametrize("name", ["a.json", "a.jsonl", "a.ndjson"])
    @pytest.mark.parametrize("indent", [None, 2])
    def test_an_array_is_read_with_any_extension(
        self, name: str, indent: int | None, tmp_path: Path
    ) -> None:
        assert texts(tmp_path / name, json.dumps(self.objects, indent=indent)) == LINES
        assert texts(tmp_path / name, f" \n{json.dumps(LINES, indent=indent)}\n ") == LINES
        lines = "\n".join(map(json.dumps, self.objects))
        assert texts(tmp_path / name, lines) == LINES

    def test_an_item_has_the_number_of_its_line(self, tmp_path: Path) -> None:
        found, _ = read(tmp_path / "a.json", '[\n"one",\n\n{\n"text": "two"\n}, "three"\n]')
        assert [(record.row, record.line) for record in found] == [(1, 2), (2, 4), (3, 6)]

    @pytest.mark.parametrize(
        ("content", "line"),
        [
            ('["one",\n"two"', 2),
            ('["one"\n"two"]', 2),
            ('["one",\n]', 2),
            ('["one"]\n["two"]', 2),
            ('["one",\n{"text": }]', 2),
            ("[", 1),
            ('[\n"one", nonsense]', 2),
            ("[\n" + "[" * 100_000, 2),
        ],
    )
    def test_a_damaged_array_names_its_line(self, content: str, line: int, tmp_path: Path) -> None:
        for bad_rows in ("stop", "skip"):
            with pytest.raises(DataError, match=rf"a\.json', line {line}\b"):
                read(tmp_path / "a.json", content, bad_rows=bad_rows)

    def test_an_object_of_several_lines_is_an_error(self, tmp_path: Path) -> None:
        content = json.dumps({"data": self.objects}, indent=1)
        for bad_rows in ("stop", "skip"):
            with pytest.raises(DataError, match=r"a\.json', line 1\b.*jq"):
                read(tmp_path / "a.json", content, bad_rows=bad_rows)

    def test_an_empty_array_holds_nothing(self, tmp_path: Path) -> None:
        assert read(tmp_path / "a.json", "[ ]\n")[1] == RowCounts()

    def test_an_array_is_bounded(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        content = json.dumps(LINES)
        monkeypatch.setattr("mivae_cli.limits.MAX_JSON_ARRAY_BYTES", len(content))
        assert texts(tmp_path / "a.json", content) == LINES
        with pytest.raises(DataError, match=r"a\.json'.*jq"):
            read(tmp_path / "a.json", content + " ")

    def test_a_path_of_fields_leads_into_objects(self, tmp_path: Path) -> None:
        content = '{"data": {"text": "one"}}\n{"data.text": "two", "data": {"text": "no"}}\n'
        assert texts(tmp_path / "a.jsonl", content, field="data.text") == ["one", "two"]

    @pytest.mark.parametrize(
        ("value", "words"),
        [
            ('{"data": {"body": "x"}}', "'data' has 'body'"),
            ('{"data": null}', "'data' is null"),
            ('{"data": "x"}', "'data' is a string"),
            ('{"data": {"text": null}}', "'data.text' is null"),
            ('{"text": "x"}', "it has 'text'"),
        ],
    )
    def test_a_path_that_leads_nowhere_is_named(
        self, value: str, words: str, tmp_path: Path
    ) -> None:
        with pytest.raises(DataError, match=rf"line 1, .*{words}"):
            read(tmp_path / "a.jsonl", value, field="data.text")

    def test_values_without_a_text_may_be_skipped(self, tmp_path: Path) -> None:
        values = ['{"text": null}', "3", '{"body": "x"}', "{'text'}", '{"text": " "}', "null"]
        content = '"one"\n' + "\n\n".join(values) + '\n{"text": "two"}\n'
        found, counts = read(tmp_path / "a.jsonl", content, bad_rows="skip")
        assert [(record.row, record.text) for record in found] == [(1, "one"), (8, "two")]
        assert counts == RowCounts(rows=8, empty=1, malformed=5)


class TestFormats:
    @pytest.mark.parametrize("extension", EXTENSIONS)
    def test_formats_are_detected_by_extension(self, extension: str) -> None:
        forms = {format_of(Path(f"a{extension}{packed}")) for packed in ("", ".gz", ".GZ")}
        assert len(forms) == 1
        assert "auto" not in forms

    @pytest.mark.parametrize(
        "name",
        [
            "a.parquet",
            "a.docx",
            "a.pdf",
            "a.xlsx",
            "a.zip",
            "a.txt.bz2",
            "a.tar.gz",
            "a.md",
            "a.1",
        ],
    )
    def test_other_extensions_are_refused_with_those_that_are_read(self, name: str) -> None:
        with pytest.raises(DataError, match=r"\.txt, .*\.jsonl, .*\.csv"):
            format_of(Path(name))
        assert format_of(Path(name), "csv") == "csv"

    @pytest.mark.parametrize("content", ['["one", "two"]', '[\n"one"\n]', '\n [{"text": "one"}]'])
    def test_an_array_is_not_read_as_text(self, content: str, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="--format json"):
            read(tmp_path / "a.txt", content)
        assert texts(tmp_path / "a.txt", content, format="json")[0] == "one"

    @pytest.mark.parametrize("line", ["[1] a note", "{a} set", "[laughs]", "{ one"])
    def test_brackets_are_text(self, line: str, tmp_path: Path) -> None:
        assert texts(tmp_path / "a.txt", f"{line}\ntwo\n") == [line, "two"]

    def test_json_lines_are_not_read_as_text(self, tmp_path: Path) -> None:
        content = '\n{"text": "one"}\nplain\n'
        with pytest.raises(DataError, match="--format json"):
            read(tmp_path / "a.txt", content)
        assert texts(tmp_path / "a.txt", content, format="text") == ['{"text": "one"}', "plain"]
        assert texts(tmp_path / "a", '{"text": "one"}\n', format="json") == ["one"]


class TestLines:
    def test_blank_lines_are_counted(self, tmp_path: Path) -> None:
        found, counts = read(tmp_path / "a.txt", "one\n\n \ntwo\n")
        assert [(record.row, record.line) for record in found] == [(1, 1), (4, 4)]
        assert counts == RowCounts(rows=4, empty=2)

    def test_a_byte_order_mark_is_no_line(self, tmp_path: Path) -> None:
        assert read(tmp_path / "a.txt", "\ufeff")[1] == RowCounts()
        assert read(tmp_path / "a.txt", "\ufeff\n")[1] == RowCounts(rows=1, empty=1)

    @pytest.mark.parametrize("bound", [5, 6, 7, 100])
    def test_a_line_ends_as_it_likes(
        self, bound: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Also if a line end is split between two reads."""
        monkeypatch.setattr("mivae_cli.limits.MAX_LINE", bound)
        found, _ = read(tmp_path / "a.txt", "one\rtwo\r\nthr\n\rfour\r\r\nfive\r")
        assert [(record.line, record.text) for record in found] == [
            (1, "one"), (2, "two"), (3, "thr"), (5, "four"), (7, "five"),
        ]  # fmt: skip


cells = st.text(st.sampled_from("ab \t,;\"'\n\ré\u2028"), max_size=6)


@given(
    st.lists(st.lists(cells, min_size=1, max_size=3), min_size=1, max_size=8),
    st.sampled_from([",", ";", "tab", "auto"]),
    st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]),
    st.booleans(),
    st.sampled_from(["a.csv", "a.tsv"]),
)
def test_rows_of_a_table_are_sentences_or_are_counted(
    folder: Path,
    rows: list[list[str]],
    delimiter: str,
    quoting: Literal[0, 1],
    header: bool,
    name: str,
) -> None:
    """The csv module writes the rows, so their number is known."""
    written = io.StringIO(newline="")
    character = {"tab": "\t", "auto": "\t" if name == "a.tsv" else ","}.get(delimiter, delimiter)
    writer = csv.writer(written, delimiter=character, quoting=quoting)
    width = len(rows[0])
    writer.writerows([[f"c{place}" for place in range(width)]] if header else [])
    writer.writerows(rows)
    settings = {"delimiter": delimiter, "quoting": "minimal", "header": header, "column": "1"}
    looks_separated = not header and delimiter == "auto" and width == 1 < len(rows)
    assume(not (looks_separated and any(mark in row[0] for row in rows for mark in "\t;|")))
    found, counts = read(folder / name, written.getvalue(), **settings, bad_rows="skip")
    expected = [row for row in rows if len(row) == width or not "".join(row).strip()]
    kept = [text for row in expected if (text := " ".join(row[0].splitlines()).strip())]
    assert [record.text for record in found] == kept
    assert counts.rows == len(rows)
    assert counts.malformed == len(rows) - len(expected)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab"), inner),
    max_leaves=6,
)


@given(st.lists(values, max_size=8), st.sampled_from(["lines", "array", "pretty"]))
def test_json_values_are_sentences_or_are_counted(
    folder: Path, chosen: list[Any], form: str
) -> None:
    if form == "lines":
        chosen = [value for value in chosen if not isinstance(value, list)]
        content = "\n".join(map(json.dumps, chosen))
    else:
        content = json.dumps(chosen, indent=1 if form == "pretty" else None)
    found, counts = read(folder / "a.json", content, field="a.b", bad_rows="skip")

    def text(value: Any) -> Any:  # noqa: ANN401
        if not isinstance(value, dict):
            return value
        return value["a"].get("b") if isinstance(value.get("a"), dict) else None

    wanted = [text(value) for value in chosen]
    strings = [" ".join(value.splitlines()).strip() for value in wanted if isinstance(value, str)]
    assert [record.text for record in found] == [string for string in strings if string]
    assert counts == RowCounts(len(chosen), strings.count(""), len(wanted) - len(strings))
