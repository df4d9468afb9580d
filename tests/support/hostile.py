"""Malicious files: valid files with a few changes.

Changes respect the format of a file (headers, tables, checksums), so that they pass the first
checks and reach later ones.
"""

__all__ = [
    "KEYS",
    "PLAUSIBLE",
    "TINY",
    "TOML",
    "WORDS",
    "corpus_bytes",
    "mutated_npy",
    "npy_bytes",
    "npz_bytes",
    "rows_bytes",
    "safetensors_bytes",
    "sealed_bytes",
    "table_bytes",
    "toml_bytes",
]

import csv
import gzip
import io
import json
import struct
import zipfile
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mivae_cli.config.messages import known_keys
from mivae_cli.config.resolve import preset_names, preset_text, template
from mivae_cli.config.run import RunConfig
from mivae_cli.storage.sealed_json import sealed
from support.mutations import NUMBERS, STRINGS, Choices, mutated_bytes, mutated_json, mutated_text

TINY = RunConfig.model_validate(
    {
        "model": {
            "latent_size": 2,
            "encoder": {"embedding_size": 2, "hidden_size": 3},
            "decoder": {"embedding_size": 2, "hidden_size": 3, "dropout": 0.0},
        },
        "critic": {
            "network": {"kind": "separable", "hidden_size": 4, "score_size": 2},
            "queue_size": 8,
        },
        "training": {"epochs": 2, "batch_size": 16, "precision": "float32"},
    }
)
BASES = (template(RunConfig()), template(TINY), *map(preset_text, preset_names()))
KEYS = list(known_keys())
TOML = (
    *("", "true", "[]", "{}", "[[1], [2]]", '"word"', '"bpe"', "inf", "-inf", "nan", "1e400"),
    *("{kind = 'word'}", "{kind = 'bpe', vocab_size = 300}", "{kind = 1}", "{a.b.c = 1}", "'''x"),
    *("1979-05-27T07:32:00Z", "07:32:00", "0x7fffffffffffffff", "0o17", "1_000", "+-1", "1.e"),
    *(
        '"""\\\n x"""',
        '"\\u0000"',
        '"\\ud800"',
        '"\\U0001f642"',
        "[" * 2000,
        "{a=" * 400,
        "9" * 5000,
    ),
    *(repr(number) for number in NUMBERS),
    *(json.dumps(string, ensure_ascii=False) for string in STRINGS),
    *STRINGS,
)
PLAUSIBLE = (
    *(
        "0",
        "1",
        "2",
        "64",
        "300",
        "1_000_000",
        "0.0",
        "0.5",
        "1e-3",
        "1.0",
        "1e6",
        "true",
        "false",
    ),
    *("'x'", "'bpe'", "'word'", "'last'", "'sgd'", "'skip'", "'float32'", "'cpu'", '"日本 語"'),
)
WORDS = (
    *("the red box is here .", "an old door opens", "to be or not to be", "</s> <unk> the", "a"),
    *(
        "שלום עולם",
        "مرحبا",
        "日本語のテキスト",
        "naïve café e\u0301",
        "\U0001f642\u200d\U0001f525",
        "x" * 300,
    ),
    *(
        "\u202edcba",
        "\u00a0\u3000\u2003 wide",
        "tab\there",
        "bell\a\x1b[31m",
        "a\x85b\u2028c\u2029d",
    ),
    *("a\x0bb\x0cc\x1cd", "\ufeff", "\x7f\x80", "\ufffd\uffff", "\U0010ffff", "0" * 5000, "", " "),
    *('he said "no"', '"', "a,b", "''", "{", "null", '{"text": 1}', "\\ud800", "\0", "\x01"),
)
ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32", "latin-1", "shift-jis")
ENDS = ("\n", "\r\n", "\r", "\x85", "\u2028", "\n\n\n")


def toml_bytes(choices: Choices) -> bytes:
    lines = choices.pick(BASES).splitlines()
    if choices.one_in(8):
        return choices.rest()
    for _ in choices.several(4):
        place = choices.below(len(lines))
        key = lines[place].partition("=")[0].strip(" #") or choices.pick(KEYS)
        match choices.below(9):
            case 0 | 1:
                lines[place] = f"{key} = {choices.pick(TOML)}"
            case 2 | 3:
                lines[place] = f"{key} = {choices.pick(PLAUSIBLE)}"
            case 4:
                lines[place] = f"{mutated_text(choices, key)} = 1"
            case 5:
                lines.insert(place, choices.pick(lines))
            case 6:
                lines.insert(place, f"[{choices.pick([*KEYS, *STRINGS])}]")
            case 7:
                lines[place] = mutated_text(choices, lines[place])
            case _:
                del lines[place:][: choices.below(20)]
    text = choices.pick(("\n", "\n", "\r\n", "\r")).join(lines)
    if choices.one_in(64):
        text += "".join(f"\n{choices.pick('ab')}{index} = 1" for index in range(20_000))
    content = text.encode(choices.pick((*["utf-8"] * 6, *ENCODINGS[1:4])), "surrogatepass")
    return mutated_bytes(choices, content) if choices.one_in(4) else content


def corpus_bytes(choices: Choices, ending: str, packed: bool) -> bytes:
    sentences = [choices.pick(WORDS) for _ in range(2 + choices.below(12))]
    if choices.one_in(64):  # a line of a megabyte
        piece = choices.pick(WORDS) or "x"
        sentences.append(choices.pick((piece, f"{piece} ")) * (10**6 // len(f"{piece} ".encode())))
    end = choices.pick(("\n", "\n", *ENDS))
    match ending:
        case ".jsonl":
            records = [{"text": sentence} for sentence in sentences]
            odd = mutated_json(choices, records) if choices.one_in(3) else records
            rows = odd if isinstance(odd, list) else [odd]
            lines = [json.dumps(row, ensure_ascii=choices.one_in(2)) for row in rows]
        case ".csv" | ".tsv":
            with io.StringIO(newline="") as file:
                delimiter = "," if ending == ".csv" else "\t"
                writer = csv.writer(file, delimiter=delimiter, lineterminator=end)
                writer.writerow(choices.pick((["text"], ["id", "text"], ["a", "b"], [" text "])))
                writer.writerows(["1", sentence] for sentence in sentences)
                lines = [file.getvalue()]
        case _:
            lines = sentences
    text = end.join(lines) + choices.pick((end, ""))
    if choices.one_in(4):
        text = mutated_text(choices, text)
    encoding = choices.pick(("utf-8", "utf-8", "utf-8", *ENCODINGS))
    content = text.encode(encoding, "surrogatepass" if encoding.startswith("utf") else "replace")
    if choices.one_in(6):
        content = mutated_bytes(choices, content)
    if choices.one_in(16):
        content = choices.rest()
    if packed:
        content = gzip.compress(content, 1, mtime=0)
        if choices.one_in(3):
            content = mutated_bytes(choices, content)
    return content


CELLS = (*("one", "two words", "a\tb", "a,b", "a;b", "x|y", " ", "", "\"said\"", "it's", "é 猫"),
         *('"open', 'close"', 'in"side', '""', "line\nline", "cr\rcr", "a\u2028b", "1", "text"))  # fmt: skip


def rows_bytes(choices: Choices, ending: str) -> bytes:
    """Returns a table, written by the csv module or without quoting, or JSON."""
    width = 1 + choices.below(3)
    rows = [[choices.pick(CELLS) for _ in range(width)] for _ in range(choices.below(8))]
    for row in rows:
        if choices.one_in(8):
            row.append(choices.pick(CELLS))
        if choices.one_in(8):
            row.pop()
    end = choices.pick(("\n", "\n", "\r\n", "\r"))
    header = choices.pick((["text"], ["id", "text"], ["text", "b", "b"], [" text ", ""], []))
    if ending.startswith(".js"):
        values = [
            choices.pick((cell, {"text": cell}, {"a": {"b": cell}}, {"text": None}, None, 3, {}))
            for row in rows
            for cell in row[:1]
        ]
        if choices.one_in(3):
            text = json.dumps(values, indent=choices.pick((None, 1)))
        else:
            text = end.join(json.dumps(value, ensure_ascii=choices.one_in(2)) for value in values)
    elif choices.one_in(2):
        delimiter = choices.pick((",", "\t", ";", "|"))
        text = end.join(delimiter.join(row) for row in [header, *rows])
    else:
        with io.StringIO(newline="") as file:
            quoting: Literal[0, 1] = csv.QUOTE_ALL if choices.one_in(2) else csv.QUOTE_MINIMAL
            delimiter = "," if ending.startswith(".csv") else choices.pick(("\t", ";", ","))
            writer = csv.writer(file, delimiter=delimiter, lineterminator=end, quoting=quoting)
            writer.writerows([header, *rows] if header else rows)
            text = file.getvalue()
    text += choices.pick((end, "", end + end))
    if choices.one_in(4):
        text = mutated_text(choices, text)
    content = text.encode("utf-8-sig" if choices.one_in(8) else "utf-8", "replace")
    return mutated_bytes(choices, content) if choices.one_in(8) else content


def sealed_bytes(document: Any) -> bytes:  # noqa: ANN401
    """Returns a document with a correct checksum, if it can be serialised."""
    if not isinstance(document, dict):
        return json.dumps(document).encode()
    body = {key: value for key, value in document.items() if key != "checksum"}
    try:
        return sealed("run", body)  # kind and format of the body take precedence
    except ValueError:  # NaN, or half of a surrogate pair
        return json.dumps(document, indent=2).encode()


def safetensors_bytes(choices: Choices, original: bytes) -> bytes:
    size = int.from_bytes(original[:8], "little")
    header, content = json.loads(original[8 : 8 + size]), original[8 + size :]
    match choices.below(8):
        case 0:
            return mutated_bytes(choices, original)
        case 1:
            content = mutated_bytes(choices, content)
        case 2:  # swap the entries of two tensors
            names = [name for name in header if name != "__metadata__"]
            one, other = choices.pick(names), choices.pick(names)
            header[one], header[other] = header[other], header[one]
        case 3:
            name = choices.pick([name for name in header if name != "__metadata__"])
            shape = header[name]["shape"]
            header[name]["shape"] = choices.pick(([1, *shape], [*shape, 1], shape[::-1], []))
        case 4:  # replace a tensor by its first number
            name = choices.pick([name for name in header if name != "__metadata__"])
            header, content = _scalar(header, content, name)
        case 5:  # remove a tensor and its bytes, or add one
            name = choices.pick([name for name in header if name != "__metadata__"])
            if choices.one_in(2):
                header[f"{name}{choices.pick(STRINGS)}"] = {
                    **header[name],
                    "data_offsets": [len(content), len(content)],
                    "shape": [0],
                }
            else:
                header, content = _without(header, content, name)
        case _:
            header = mutated_json(choices, header)
    text = json.dumps(header).encode()
    if choices.one_in(8) and isinstance(header, dict) and header:
        name = choices.pick(list(header))
        text = b"{" + json.dumps({name: header[name]}).encode()[1:-1] + b", " + text[1:]
    length = len(text) if not choices.one_in(8) else int(choices.pick(NUMBERS[:70])) % 2**64
    return length.to_bytes(8, "little") + text + content


def _without(header: Any, content: bytes, name: str) -> tuple[Any, bytes]:  # noqa: ANN401
    """Returns a valid file without one of its tensors."""
    start, end = header[name]["data_offsets"]
    kept = {key: value for key, value in header.items() if key != name}
    for value in kept.values():
        if "data_offsets" in value and value["data_offsets"][0] >= end:
            value["data_offsets"] = [at - (end - start) for at in value["data_offsets"]]
    return kept, content[:start] + content[end:]


def _scalar(header: Any, content: bytes, name: str) -> tuple[Any, bytes]:  # noqa: ANN401
    """Returns a valid file with a tensor of shape () in place of another one."""
    tensor, width = header[name], {"U8": 1, "I64": 8, "F64": 8}.get(header[name]["dtype"], 4)
    start = tensor["data_offsets"][0]
    first = content[start : start + width]
    kept, content = _without(header, content, name)
    kept[name] = {**tensor, "shape": [], "data_offsets": [len(content), len(content) + len(first)]}
    return kept, content + first


def npy_bytes(array: NDArray[Any]) -> bytes:
    with io.BytesIO() as file:
        np.save(file, array)
        return file.getvalue()


def mutated_npy(choices: Choices, original: bytes) -> bytes:
    if choices.one_in(4):
        return mutated_bytes(choices, original)
    size = struct.unpack("<H", original[8:10])[0]
    header, content = original[10 : 10 + size].decode("latin-1"), original[10 + size :]
    fields = {"descr": "'<i8'", "fortran_order": "False", "shape": f"({len(content) // 8},)"}
    if choices.one_in(4):
        header = mutated_text(choices, header)
    elif not choices.one_in(4):
        dtypes = (
            "<i8",
            "<u8",
            ">i8",
            "<i4",
            "<u4",
            "<u2",
            "<f8",
            "<f4",
            "<f2",
            "|b1",
            "|O",
            "|V8",
        )
        odd = ("<M8[s]", "<m8", "<c16", "|S8", "<U2", "|V0", "|S0", "<g16", "x" * 50, "<f16")
        if choices.one_in(2):
            fields["descr"] = repr(choices.pick((*dtypes, *odd)))
        else:
            fields["descr"] = choices.pick(
                (
                    "[('a', '<i8')]",
                    "('<i8', (2,))",
                    "[('a', '|O')]",
                    "8",
                    "None",
                    "(" * 300,
                    "[[]]",
                )
            )
        if choices.one_in(2):
            shape = [choices.pick(NUMBERS) for _ in range(choices.below(4))]
            fields["shape"] = repr(tuple(shape))
        if choices.one_in(4):
            fields["fortran_order"] = choices.pick(("True", "1", "None", "'x'"))
        if choices.one_in(8):
            fields.pop(choices.pick(list(fields)))
        header = "{" + ", ".join(f"{key!r}: {value}" for key, value in fields.items()) + "}\n"
    else:  # change numbers, keep the header
        values = np.frombuffer(content[: len(content) // 8 * 8], "<i8").copy()
        if len(values):
            number = int(choices.pick(NUMBERS[:70]))
            values[choices.below(len(values))] = np.int64((number + 2**63) % 2**64 - 2**63)
            if choices.one_in(2):
                values[-1] = np.int64((number + 2**63) % 2**64 - 2**63)
        content = values.tobytes() + content[len(values) * 8 :]
    text = header.encode("utf-8", "surrogatepass")
    version = choices.pick(
        (b"\x01\x00", b"\x01\x00", b"\x02\x00", b"\x03\x00", b"\x04\x00", b"\xff\x01")
    )
    claimed = len(text) if not choices.one_in(8) else int(choices.pick(NUMBERS[:70]))
    length = struct.pack("<H", claimed % 2**16)
    if version != b"\x01\x00":
        length = struct.pack("<I", claimed % 2**32)
    return b"\x93NUMPY" + version + length + text + content


def npz_bytes(choices: Choices, x: NDArray[Any], z: NDArray[Any]) -> bytes:
    kinds = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2)
    with io.BytesIO() as file:
        with zipfile.ZipFile(file, "w", choices.pick(kinds)) as archive:
            for name, array in (("x", x), ("z", z)):
                content = npy_bytes(array)
                if choices.one_in(3):
                    content = mutated_npy(choices, content)
                archive.writestr(f"{name}.npy", content)
        content = file.getvalue()
    if choices.one_in(2):
        return content
    if choices.one_in(2):  # sizes and types in the central directory
        at = content.rfind(b"PK\x01\x02", 0, choices.below(len(content)) + 1)
        at = content.find(b"PK\x01\x02") if at < 0 else at
        offset, size = choices.pick(((10, 2), (20, 4), (24, 4), (8, 2), (28, 2), (42, 4)))
        number = int(choices.pick(NUMBERS[:70])) % (1 << (8 * size))
        return (
            content[: at + offset]
            + number.to_bytes(size, "little")
            + content[at + offset + size :]
        )
    return mutated_bytes(choices, content)


def table_bytes(choices: Choices, ending: str, x: NDArray[Any], z: NDArray[Any]) -> bytes:
    cells: list[list[Any]] = [["x1", "x2", "z"]] if choices.one_in(2) else []
    cells += np.column_stack([x, z]).tolist()
    for _ in range(choices.below(3)):
        row = choices.pick(cells)
        row[choices.below(len(row))] = choices.pick(
            (*STRINGS, *NUMBERS[:20], "nan", "1e999", "\uff11")
        )
    delimiter = "\t" if ending == ".tsv" else ","
    text = choices.pick(("\n", "\r\n", "\r")).join(delimiter.join(map(str, row)) for row in cells)
    if choices.one_in(64):
        text += "\n" + delimiter.join(["1"] * 200_000)
    if choices.one_in(4):
        text = mutated_text(choices, text)
    content = text.encode(choices.pick((*["utf-8"] * 6, *ENCODINGS[1:4])), "surrogatepass")
    if choices.one_in(6):
        content = mutated_bytes(choices, content)
    if ending.endswith(".gz"):
        content = gzip.compress(content, 1, mtime=0)
        if choices.one_in(3):
            content = mutated_bytes(choices, content)
    return content
