"""The example scripts `docstrings` and `scenes`."""

import math
import os
import re
import subprocess
import sys
from collections import Counter
from itertools import product
from pathlib import Path

import pytest

from support.example_scripts import EXAMPLES, load

docstrings = load("docstrings")
scenes = load("scenes")


def run(
    script: str, *arguments: str | Path, hash_seed: str = "0"
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, EXAMPLES / f"{script}.py", *arguments],
        capture_output=True,
        check=False,
        text=True,
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        timeout=600,  # ends an endless loop
    )


class TestFirstSentence:
    @pytest.mark.parametrize(
        ("docstring", "line"),
        [
            ("Open the door.", "open the door ."),
            ("Open the door", "open the door ."),
            ("Is the door open?  Ask.", "is the door open ?"),
            ("Open the door. Then close it.", "open the door ."),
            (
                "\n    Open the\n    door (if any).\n\n    More.\n    ",
                "open the door ( if any ) .",
            ),
            ("Take a fruit, e.g. Apples, home.", "take a fruit , e.g. apples , home ."),
            ("Keep all of it: pens, paper, etc.", "keep all of it : pens , paper , etc ."),
            ("It doesn't use the caller's 3 keys.", "it does n't use the caller 's 3 keys ."),
            ("Read a file - or a pipe.", "read a file -- or a pipe ."),
            ("Read a well-formed file and/or pipe.", "read a well-formed file and/or pipe ."),
            ("Split at 1,000.5 or at the 4th comma.", "split at 1,000.5 or at the 4th comma ."),
        ],
    )
    def test_splits_words_from_punctuation(self, docstring: str, line: str) -> None:
        assert docstrings.first_sentence(docstring) == line

    @pytest.mark.parametrize(
        ("docstring", "line"),
        [
            ("Return ``None`` or the `name` of it.", "return none or the name of it ."),
            ("Return a :class:`~house.Door` to open.", "return a door to open ."),
            ("Return a :py:class:`house.Door` to open.", "return a house.door to open ."),
            ("Return a :term:`door <doors>` to open.", "return a door to open ."),
            ("See `the manual <https://a.example>`_ first.", "see the manual first ."),
            ("See [the manual](https://a.example) first.", "see the manual first ."),
            ("Do as :pep:`8` says in all.", "do as pep 8 says in all ."),
            ("Add \"red\" and 'blue' to the mix.", "add red and blue to the mix ."),
            ("Open **all** of the *doors*.", "open all of the doors ."),
            ("Works like open() but for doors.", "works like open but for doors ."),
            ("Open the door(s) of it.", "open the doors of it ."),
            ("As it was told before [1]_.", "as it was told before ."),
        ],
    )
    def test_removes_markup(self, docstring: str, line: str) -> None:
        assert docstrings.first_sentence(docstring) == line

    @pytest.mark.parametrize(
        "opening",
        [
            "door(width, height=2) -> Door",
            "door(width)",
            "Doors\n=====",
            ".. deprecated:: 2.0",
            "-*- coding: utf-8 -*-",
        ],
    )
    def test_skips_what_precedes_the_prose(self, opening: str) -> None:
        docstring = f"{opening}\n\nOpen the door to the garden."
        assert docstrings.first_sentence(docstring) == "open the door to the garden ."

    @pytest.mark.parametrize(
        "continuation",
        [
            "Args:\n    door: Which.",
            ":param door: Which.",
            "- the first",
            ">>> enter()",
            "@return it",
        ],
    )
    def test_stops_at_the_end_of_the_first_paragraph(self, continuation: str) -> None:
        docstring = f"Open the door to the garden\n{continuation}"
        assert docstrings.first_sentence(docstring) == "open the door to the garden ."

    @pytest.mark.parametrize(
        "docstring",
        [
            "",
            "   \n\n ",
            "Open it.",  # too short
            "Open the " + "very " * 30 + "old door.",
            "Open the dóor to the garden.",
            ">>> open(door)\nTrue",
            ".. note:: open the door",
            ":param door: the door to open",
            "Args:\n    door: the door to open",
            "door(a, b) -> the door of a and b",
            "<p>Open the door to the garden.</p>",
            "Solve for :math:`x` in the domain.",
            "Solve for $x$ in the domain.",
            "Compute x = a + b in the field.",
            "Map a[i] to the value of it.",
            "See https://a.example for the rest.",
            "Write to door@a.example for the rest.",
            "Call std::move on the value.",
            "Set a_b, c_d and e_f to g_h.",  # names of code outnumber what they may
            "The doors are one of these:",
            "Open the door (to the garden.",
            "Garden door opening helpers.",  # a title: no function word
            "Copyright of the door and the garden.",
            "Wait for the door ... and for the garden.",
            "1, 2, 3, 4 or 5, 6, 7.",
        ],
    )
    def test_leaves_out_everything_but_plain_english(self, docstring: str) -> None:
        assert docstrings.first_sentence(docstring) is None


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A small library: two good modules, three broken files, and some that are not sources."""
    root = tmp_path / "library"
    files = {
        "b.py": (
            '"""Open the door to the garden."""\n'
            "def f():\n"
            '    "Close the door to the garden."\n'
            "if f:\n"
            "    class C:\n"
            '        """Paint the door of the house."""\n'
            "        async def g(self):\n"
            '            r"""Listen at the door of the house."""\n'
            '            """Not a docstring, but an expression."""\n'
            "else:\n"
            "    def h(): 'Knock at the door of the house.'\n"
        ),
        "a/__init__.py": '"""Leave the key under the mat."""\n',
        "a/escape.py": '"""Break out of the house with \\d."""\nx = 1 is 1\n',
        "a/same.py": '"""LEAVE the key under the mat"""\n',
        "broken.py": '"""Say what does not parse."""\ndef (:\n',
        "null.py": '"""Say what holds a null."""\n\0\n',
        "tests/t.py": '"""Say that it is a test."""\n',
        "test_b.py": '"""Say that it is a test too."""\n',
        "site-packages/p.py": '"""Say that it lies elsewhere."""\n',
        "notes.txt": '"""Say what is not Python."""\n',
    }
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    (root / "latin.py").write_bytes(b'"""Say what is not \xe9 in UTF-8."""\n')
    return root


IN_ORDER = [
    "open the door to the garden .",
    "close the door to the garden .",
    "paint the door of the house .",
    "listen at the door of the house .",
    "knock at the door of the house .",
    "leave the key under the mat .",
]


class TestCorpus:
    def test_docstrings_come_in_source_order_from_what_parses(self, tree: Path) -> None:
        assert list(docstrings.read_docstrings(tree)) == [
            "Open the door to the garden.",
            "Close the door to the garden.",
            "Paint the door of the house.",
            "Listen at the door of the house.",
            "Knock at the door of the house.",
            "Leave the key under the mat.",
            "Break out of the house with \\d.",
            "LEAVE the key under the mat",
        ]

    def test_duplicates_are_removed(self, tree: Path) -> None:
        assert docstrings.build_corpus([tree]) == IN_ORDER
        assert docstrings.build_corpus([tree / "a", tree, tree]) == [IN_ORDER[-1], *IN_ORDER[:-1]]

    def test_a_sample_keeps_the_order_and_spreads(self) -> None:
        sentences = [f"take the {number} th door ." for number in range(1000)]
        chosen = docstrings.sample(sentences, 200)

        assert len(chosen) == 200
        assert chosen == [sentence for sentence in sentences if sentence in set(chosen)]
        first_half = len(set(chosen) & set(sentences[:500]))
        assert abs(first_half - 100) < 4 * math.sqrt(200 * 0.5 * 0.5)
        assert set(docstrings.sample(sentences, 50)) < set(chosen)
        assert docstrings.sample(sentences, 2000) == sentences

    def test_the_sample_does_not_depend_on_the_order(self) -> None:
        sentences = [f"take the {number} th door ." for number in range(100)]
        chosen = docstrings.sample(sentences, 20)
        assert docstrings.sample(sentences[::-1], 20) == chosen[::-1]

    def test_the_command_writes_lines_and_counts_on_stderr(
        self, tree: Path, tmp_path: Path
    ) -> None:
        out = tmp_path / "corpus.txt"
        result = run("docstrings", out, "--root", tree / "a", "--root", tree)

        assert result.returncode == 0
        assert result.stdout == ""
        lines = [IN_ORDER[-1], *IN_ORDER[:-1]]
        assert out.read_bytes() == "".join(f"{line}\n" for line in lines).encode()
        counts = Counter(" ".join(lines).split())
        types = sum(count > 1 for count in counts.values())
        numbers = [6, counts.total(), types, 10]  # files: three in a, and seven in all
        assert re.findall(r"\d+", result.stderr) == list(map(str, numbers))

    def test_the_command_samples_the_same_whatever_the_hash_seed(
        self, tree: Path, tmp_path: Path
    ) -> None:
        outs = [tmp_path / f"{seed}.txt" for seed in "12"]
        for seed, out in zip("12", outs, strict=True):
            run("docstrings", out, "--root", tree, "--max-sentences", "3", hash_seed=seed)
        first, second = (out.read_text().splitlines() for out in outs)
        assert first == second == docstrings.sample(IN_ORDER, 3)

    @pytest.mark.parametrize(
        "arguments", [("--root", "nowhere"), ("--max-sentences", "0"), ("--max-sentences", "x")]
    )
    def test_the_command_rejects_invalid_options(
        self, arguments: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        out = tmp_path / "corpus.txt"
        with pytest.raises(SystemExit) as exit_:
            docstrings.main([str(out), *arguments])
        assert exit_.value.code == 2
        assert "error:" in capsys.readouterr().err
        assert not out.exists()


class TestScenes:
    def test_every_scene_is_read_back_from_its_sentence(self) -> None:
        seen = set()
        for values in product(*scenes.FACTORS.values()):
            scene = scenes.Scene(*values)
            sentence = scene.sentence()
            assert scenes.parse(sentence) == scene
            seen.add(sentence)

        total = sum(map(scenes.factor_entropy, scenes.FACTORS))
        assert len(seen) == 61440 == round(math.exp(total))
        assert {len(sentence.split()) for sentence in seen} == set(range(8, 15))
        assert len({word for sentence in seen for word in sentence.split()}) == 81
        assert all(sentence == " ".join(sentence.lower().split()) for sentence in seen)

    @pytest.mark.parametrize(
        ("number", "tense", "sentence"),
        [
            ("one", "past", "one woman drew a map by the river at noon"),
            ("one", "present", "one woman draws a map by the river at noon"),
            ("one", "future", "one woman will draw a map by the river at noon"),
            ("two", "past", "two women drew a map by the river at noon"),
            ("two", "present", "two women draw a map by the river at noon"),
            ("two", "future", "two women will draw a map by the river at noon"),
        ],
    )
    def test_subject_and_verb_agree(self, number: str, tense: str, sentence: str) -> None:
        scene = scenes.Scene("woman", "draw", "by the river", "at noon", number, tense)
        assert scene.sentence() == sentence

    @pytest.mark.parametrize(
        "sentence",
        [
            "two woman draw a map by the river at noon",
            "one women drew a map by the river at noon",
            "two women draws a map by the river at noon",
            "one woman draw a map by the river at noon",
            "one woman draws by the river at noon",
            "one woman draws a map at noon by the river",
            "one woman draws a map by the river at noon .",
            "One woman draws a map by the river at noon",
            "",
        ],
    )
    def test_sentences_outside_the_grammar_are_rejected(self, sentence: str) -> None:
        with pytest.raises(ValueError, match="grammar"):
            scenes.parse(sentence)

    def test_a_value_outside_its_factor_is_rejected(self) -> None:
        with pytest.raises(ValueError, match="number is 'six'"):
            scenes.Scene("woman", "draw", "by the river", "at noon", "six", "past")

    def test_factors_are_uniform_and_independent(self) -> None:
        count = 20_000
        drawn = list(scenes.scenes(count, seed=0))
        for names in product(scenes.FACTORS, repeat=2):
            one, other = names
            cells = Counter((getattr(scene, one), getattr(scene, other)) for scene in drawn)
            size = len(scenes.FACTORS[one]) * (1 if one == other else len(scenes.FACTORS[other]))
            assert len(cells) == size
            expected = count / size
            chi_squared = sum((seen - expected) ** 2 / expected for seen in cells.values())
            # Under the grammar's own law, its mean is size - 1 and its variance twice that.
            assert chi_squared < (size - 1) + 5 * math.sqrt(2 * (size - 1)), names

    def test_the_seed_fixes_the_scenes(self) -> None:
        assert list(scenes.scenes(50, seed=3)) == list(scenes.scenes(50, seed=3))
        assert list(scenes.scenes(50, seed=3)) != list(scenes.scenes(50, seed=4))
        assert list(scenes.scenes(20, seed=3)) == list(scenes.scenes(50, seed=3))[:20]

    def test_the_entropy_of_a_factor_is_the_log_of_its_values(self) -> None:
        assert scenes.factor_entropy("tense") == pytest.approx(math.log(3))
        assert scenes.factor_entropy("who") == pytest.approx(3 * math.log(2))

    def test_the_command_writes_sentences_and_their_factors(self, tmp_path: Path) -> None:
        out, table = tmp_path / "scenes.txt", tmp_path / "factors.tsv"
        result = run("scenes", out, "--count", "30", "--seed", "7", "--factors", table)

        assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
        sentences = out.read_bytes().decode().split("\n")
        header, *rows = table.read_bytes().decode().split("\n")
        assert sentences.pop() == rows.pop() == ""
        assert header.split("\t") == ["who", "action", "place", "time", "number", "tense"]
        told = [scenes.Scene(*row.split("\t")) for row in rows]
        assert told == [scenes.parse(sentence) for sentence in sentences]
        assert told == list(scenes.scenes(30, seed=7))
