"""Nearest neighbours, compared with explicit distances, integrals and full sorting."""

import itertools
import json
import math
from collections.abc import Iterator
from contextlib import chdir
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mivae_cli.choices import Distance
from mivae_cli.config.data import DataConfig
from mivae_cli.data.prepared_corpus import TokenStore
from mivae_cli.generation import neighbours as module
from mivae_cli.generation.generate import encode_texts
from mivae_cli.generation.neighbours import (
    as_read,
    distances,
    encoded_blocks,
    nearest,
    stored_texts,
)
from mivae_cli.models.latent import DiagonalGaussian
from support.program import Mivae
from support.small import small_config, train_to_end, write_scenes
from support.texts import read_sentences
from support.tiny_models import tiny_model, word_tokenizer

DISTANCES: tuple[Distance, ...] = ("mean", "cosine", "bhattacharyya")
RUN = "runs/scenes"


def gaussians(mean: list[list[float]], scale: list[list[float]] | None = None) -> DiagonalGaussian:
    means = torch.tensor(mean)
    return DiagonalGaussian(
        means, torch.zeros_like(means) if scale is None else torch.tensor(scale).log()
    )


def some_gaussians(count: int, size: int, seed: int) -> DiagonalGaussian:
    generator = torch.Generator().manual_seed(seed)
    mean, log_scale = torch.randn(2, count, size, generator=generator)
    return DiagonalGaussian(2 * mean, log_scale)


class TestDistances:
    def test_the_distance_of_means_is_euclidean(self) -> None:
        query, others = gaussians([[1.0, 2.0]]), gaussians([[4.0, 6.0], [1.0, 2.0]])
        assert distances(query, others, "mean").tolist() == [5.0, 0.0]

    def test_the_cosine_ignores_lengths(self) -> None:
        query = gaussians([[2.0, 0.0]])
        others = gaussians([[7.0, 0.0], [0.0, 0.1], [-1.0, 0.0], [0.0, 0.0]])
        torch.testing.assert_close(
            distances(query, others, "cosine"),
            torch.tensor([0.0, 1.0, 2.0, 1.0], dtype=torch.double),
        )

    @given(st.integers(0, 2**16))
    def test_bhattacharyya_is_its_integral(self, seed: int) -> None:
        both = some_gaussians(2, 1, seed)
        one, two = both[:1].double(), both[1:].double()
        z = torch.linspace(-300, 300, 40_001, dtype=torch.double)[:, None, None]
        overlap = (0.5 * (one.log_prob(z) + two.log_prob(z))).exp().sum() * 600 / 40_000
        found = distances(one, two, "bhattacharyya")
        assert float(found) == pytest.approx(-math.log(float(overlap)), rel=1e-6, abs=1e-9)

    @given(st.integers(0, 2**16), st.integers(2, 9))
    def test_bhattacharyya_adds_up_over_independent_units(self, seed: int, size: int) -> None:
        query, others = some_gaussians(1, size, seed), some_gaussians(5, size, seed + 1)
        units = [
            distances(
                DiagonalGaussian(query.mean[:, [unit]], query.log_scale[:, [unit]]),
                DiagonalGaussian(others.mean[:, [unit]], others.log_scale[:, [unit]]),
                "bhattacharyya",
            )
            for unit in range(size)
        ]
        torch.testing.assert_close(
            distances(query, others, "bhattacharyya"), torch.stack(units).sum(dim=0)
        )

    @pytest.mark.parametrize("by", DISTANCES)
    @given(seed=st.integers(0, 2**16), size=st.integers(1, 9))
    def test_distances_are_symmetric_and_zero_for_equal_posteriors(
        self, by: Distance, seed: int, size: int
    ) -> None:
        both = some_gaussians(2, size, seed)
        assert float(distances(both[:1], both[:1], by)) == pytest.approx(0, abs=1e-12)
        there, back = distances(both[:1], both[1:], by), distances(both[1:], both[:1], by)
        torch.testing.assert_close(there, back)
        assert float(there) >= 0

    @pytest.mark.parametrize("by", DISTANCES)
    def test_inactive_units_change_no_distance(self, by: Distance) -> None:
        query, others = some_gaussians(1, 3, 1), some_gaussians(40, 3, 2)

        def widened(posterior: DiagonalGaussian) -> DiagonalGaussian:
            nothing = torch.zeros(len(posterior), 500)
            return DiagonalGaussian(
                torch.cat([posterior.mean, nothing], dim=1),
                torch.cat([posterior.log_scale, nothing], dim=1),
            )

        torch.testing.assert_close(
            distances(widened(query), widened(others), by), distances(query, others, by)
        )

    def test_bhattacharyya_weights_units_by_their_precision(self) -> None:
        scale = [[0.01, 0.5]]
        query = gaussians([[0.0, 0.0]], scale)
        others = gaussians([[0.1, 0.0], [0.0, 1.0]], scale * 2)  # 10 and 2 scales away
        assert distances(query, others, "mean").argmin() == 0
        assert distances(query, others, "bhattacharyya").tolist() == pytest.approx([12.5, 0.5])

    @pytest.mark.parametrize("log_scale", [-80.0, 80.0])
    def test_scales_may_exceed_single_precision(self, log_scale: float) -> None:
        query = DiagonalGaussian(torch.zeros(1, 2), torch.zeros(1, 2))
        other = DiagonalGaussian(torch.zeros(1, 2), torch.full((1, 2), log_scale))
        # -ln of sqrt(2 s / (1 + s^2)) for each of two units
        expected = 80.0 - math.log(2)
        assert float(distances(query, other, "bhattacharyya")) == pytest.approx(expected)
        assert float(distances(other, other, "bhattacharyya")) == 0


def in_blocks(
    texts: list[str], posterior: DiagonalGaussian, cuts: list[int]
) -> Iterator[tuple[list[str], DiagonalGaussian]]:
    for start, end in itertools.pairwise([0, *sorted(cuts), len(texts)]):
        yield texts[start:end], posterior[start:end]


class TestNearest:
    @given(
        st.lists(st.integers(0, 12), max_size=60),
        st.lists(st.integers(0, 60), max_size=5),
        st.integers(1, 20),
        st.sets(st.integers(0, 12), max_size=3),
    )
    def test_the_result_equals_full_sorting_for_any_blocks(
        self, words: list[int], cuts: list[int], count: int, skipped: set[int]
    ) -> None:
        texts = [f"w{word}" for word in words]
        # of the thirteen texts some are equally far, on either side
        means = torch.tensor([[float(word % 5 - 2)] for word in words]).view(-1, 1)
        posterior = DiagonalGaussian(means, torch.zeros_like(means))
        blocks = in_blocks(texts, posterior, [min(cut, len(texts)) for cut in cuts])
        passed = {f"w{word}" for word in skipped}
        found = nearest(gaussians([[0.0]]), blocks, "mean", count, passed)
        once = [text for text in dict.fromkeys(texts) if text not in passed]
        expected = sorted(once, key=lambda text: abs(int(text[1:]) % 5 - 2))[:count]
        assert [neighbour.text for neighbour in found] == expected
        assert [neighbour.distance for neighbour in found] == [
            abs(int(text[1:]) % 5 - 2) for text in expected
        ]

    def test_memory_holds_one_block_and_the_neighbours_found(self) -> None:
        alive = 0

        class Counted(list[str]):
            def __init__(self, texts: list[str]) -> None:
                nonlocal alive
                super().__init__(texts)
                alive += 1

            def __del__(self) -> None:
                nonlocal alive
                alive -= 1

        def blocks() -> Iterator[tuple[list[str], DiagonalGaussian]]:
            for number in range(50):
                assert alive <= 1
                yield Counted([f"w{number}"]), gaussians([[float(number)]])

        assert len(nearest(gaussians([[25.0]]), blocks(), count=3)) == 3

    def test_without_sentences_there_are_no_neighbours(self) -> None:
        assert nearest(gaussians([[0.0]]), []) == []


class TestBlocks:
    max_tokens = 4
    texts = ("w1 w2 w3 w4 w5", "w6", "w2 w3", "w9 w9 w9", "w6 w1", "w6", "w7 unknown")

    @pytest.mark.parametrize("block", [1, 3, 100])
    def test_blocks_have_every_text_with_its_posterior(
        self, block: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(module, "BLOCK", block)
        model, tokenizer = tiny_model(20), word_tokenizer()
        parts = list(encoded_blocks(model, tokenizer, iter(self.texts), self.max_tokens))
        assert len(parts) == math.ceil(len(self.texts) / block)
        assert [text for texts, _ in parts for text in texts] == list(self.texts)
        expected = encode_texts(model, tokenizer, self.texts, self.max_tokens)
        found = torch.cat([posterior.parameters() for _, posterior in parts])
        torch.testing.assert_close(found, expected.parameters())

    def test_sentences_are_read_lazily(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("mivae_cli.data.ingestion.CHUNK", 100)
        read = 0

        def endless() -> Iterator[str]:
            nonlocal read
            while True:
                read += 1
                yield "w1 w2"

        blocks = encoded_blocks(tiny_model(20), word_tokenizer(), endless(), self.max_tokens)
        texts, _ = next(blocks)
        assert read == len(texts) < 30

    def test_a_text_is_truncated_like_the_corpus(self) -> None:
        tokenizer = word_tokenizer()
        assert as_read(tokenizer, "  w1 strange\tw2 w3 w4 ", self.max_tokens) == "w1 <unk> w2 w3"
        store = TokenStore.from_ids(tokenizer.encode(["w1 w2", "w3"]))
        assert list(stored_texts(store, tokenizer)) == ["w1 w2", "w3"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working directory with a text and a run trained on it."""
    place = tmp_path_factory.mktemp("nearest")
    text = write_scenes(place / "scenes.txt", count=300)
    config = small_config(
        text, data={"tokenizer": {"kind": "word", "min_count": 1}}, training={"epochs": 1}
    )
    train_to_end(config, place / RUN)
    return place


@pytest.fixture
def inside(folder: Path) -> Iterator[Path]:
    with chdir(folder):
        yield folder


def rows(out: str) -> list[tuple[float, str]]:
    found = [json.loads(line) for line in out.splitlines()]
    assert all(row.keys() == {"distance", "text"} for row in found)
    return [(row["distance"], row["text"]) for row in found]


class TestNeighbours:
    @pytest.mark.parametrize("by", DISTANCES)
    def test_a_file_is_searched_to_its_end(self, by: Distance, mivae: Mivae, inside: Path) -> None:
        sentences = list(read_sentences(Path("scenes.txt"), DataConfig()))
        ran = mivae(
            "neighbours", RUN, sentences[7], "--in", "scenes.txt", "--n", "1000", "--by", by,
            "--json",
        )  # fmt: skip
        assert ran.code == 0
        assert "among the sentences of 'scenes.txt'" in ran.err
        found = rows(ran.out)
        assert {text for _, text in found} == set(sentences) - {sentences[7]}
        assert len(found) == len(set(sentences)) - 1
        assert [distance for distance, _ in found] == sorted(distance for distance, _ in found)

    def test_the_training_split_is_searched_by_default(self, mivae: Mivae, inside: Path) -> None:
        ran = mivae("neighbours", "one king sang", "--n", "3")
        assert ran.code == 0
        assert "training split" in ran.err
        lines = ran.out.splitlines()
        assert len(lines) == 3
        known = set(read_sentences(Path("scenes.txt"), DataConfig()))
        assert {line.split(maxsplit=1)[1] for line in lines} <= known

    def test_the_sentence_itself_and_duplicates_are_left_out(
        self, mivae: Mivae, inside: Path
    ) -> None:
        (inside / "twice.txt").write_text("two kings sing\n one fox sang \none fox sang\n" * 3)
        ran = mivae("neighbours", RUN, " two kings sing ", "--in", "twice.txt", "--json")
        assert [text for _, text in rows(ran.out)] == ["one fox sang"]

    def test_unknown_words_are_listed(self, mivae: Mivae, inside: Path) -> None:
        (inside / "odd.txt").write_text("two [bold]zorgs[/] sing\ntwo foxes sing\n")
        query = "two [/]flarps sing"
        ran = mivae("neighbours", RUN, query, "--in", "odd.txt", "--json")
        assert "not in the run's vocabulary: [/]flarps\n" in ran.err
        # to the model, both are the same sentence with an unknown word
        distance, text = rows(ran.out)[0]
        assert distance == pytest.approx(0, abs=1e-6)
        assert text == "two [bold]zorgs[/] sing"
        shown = mivae("neighbours", RUN, query, "--in", "odd.txt").out.splitlines()[0]
        assert shown == "  0.000  two [bold]zorgs[/] sing"

    def test_long_lines_and_control_characters_are_shown_safely(
        self, mivae: Mivae, inside: Path
    ) -> None:
        (inside / "long.txt").write_text("one king " * 200_000 + "\n\n\x1b]0;owned\x07 fox\n")
        ran = mivae("neighbours", RUN, "one king", "--in", "long.txt")
        assert ran.code == 0
        assert len(ran.out.splitlines()) == 2
        assert "\x1b" not in ran.out
        assert "\x07" not in ran.out

    @pytest.mark.parametrize(
        ("arguments", "code", "words"),
        [
            (["one king", "--in", "empty.txt"], 3, "'empty.txt'"),
            (["one king", "--in", "self.txt"], 3, "'self.txt'"),
            (["one king", "--in", "missing.txt"], 3, "missing.txt"),
            (["one king", "--in", "latin1.txt"], 3, "line 2"),
            (["one king", "--n", "0"], 2, "--n"),
            (["one king", "--by", "eye"], 2, "--by"),
            ([" "], 3, "empty"),
            ([], 2, "SENTENCE"),
            (["one king", "two kings"], 2, "not 2"),
        ],
    )
    def test_a_user_error_is_one_line(
        self, mivae: Mivae, inside: Path, arguments: list[str], code: int, words: str
    ) -> None:
        (inside / "empty.txt").write_text("\n \n")
        (inside / "self.txt").write_text("one king\none king \n")
        (inside / "latin1.txt").write_bytes(b"a line\ncaf\xe9\n")
        ran = mivae("neighbours", *arguments, "--run", RUN)
        if not arguments:
            ran = mivae("neighbours")
        assert ran.code == code
        assert ran.out == ""
        complaint = ran.err[ran.err.index("error: ") :]
        assert words in complaint
        assert len(complaint.strip().splitlines()) == 1


class TestAnalogy:
    texts = ("one king sings", "two kings sing", "one fox sings")

    def test_scale_0_gives_c_and_scale_1_from_a_gives_b(self, mivae: Mivae, inside: Path) -> None:
        a, b, c = self.texts
        back = {
            text: json.loads(mivae("reconstruct", RUN, text, "--json").out)["reconstruction"]
            for text in self.texts
        }

        def analogy(*arguments: str) -> str:
            ran = mivae("analogy", RUN, *arguments)
            assert ran.code == 0
            return ran.out.rstrip("\n")

        assert analogy(a, b, c, "--scale", "0") == back[c]
        assert analogy(a, b, a) == back[b]
        assert analogy(b, b, c) == back[c]
        assert analogy(a, b, b, "--scale", "-1") == back[a]

    def test_several_sentences_are_drawn_by_the_seed(self, mivae: Mivae, inside: Path) -> None:
        how = ["analogy", *self.texts, "--n", "6", "--json"]
        first, again, other = (mivae(*how, "--seed", seed).out for seed in ("1", "1", "2"))
        assert first == again != other
        assert len(first.splitlines()) == 6
        assert all(json.loads(line).keys() == {"text"} for line in first.splitlines())
        assert mivae(*how, "--seed", "1", "--temperature", "0.8").out == first
        likeliest = mivae("analogy", *self.texts).out
        frozen = mivae("analogy", *self.texts, "--n", "2", "--temperature", "0.001").out
        assert [line[:40] for line in frozen.splitlines()] == 2 * [likeliest[:40]]

    @pytest.mark.parametrize(
        ("arguments", "code", "words"),
        [
            (["one", "two"], 2, "not 2"),
            (["one", "two", "one", "two"], 2, "not 4"),
            (["one", "", "two"], 3, "sentence 2 is empty"),
            (["one", "two", "one", "--scale", "nan"], 2, "scale"),
            (["one", "two", "one", "--scale", "1e9"], 2, "scale"),
            (["one", "two", "one", "--temperature", "0"], 2, "temperature"),
            (["one", "two", "one", "--n", "2", "--beam", "2"], 2, "--beam"),
            (["one", "two", "one", "--beam", "99999999999999999999"], 2, "beam"),
            (["one", "two", "one", "--n", "99999999999999999999"], 2, "--n"),
        ],
    )
    def test_a_user_error_is_one_line(
        self, mivae: Mivae, inside: Path, arguments: list[str], code: int, words: str
    ) -> None:
        ran = mivae("analogy", *arguments, "--run", RUN)
        assert ran.code == code
        assert ran.out == ""
        complaint = ran.err[ran.err.index("error: ") :]
        assert words in complaint
        assert len(complaint.strip().splitlines()) == 1


def test_a_language_model_has_no_neighbours(mivae: Mivae, tmp_path: Path) -> None:
    text = write_scenes(tmp_path / "scenes.txt", count=200)
    config = small_config(text, model={"latent_size": 0}, training={"epochs": 1},
                          objective={"mi_weight": 0.0})  # fmt: skip
    train_to_end(config, tmp_path / "run")
    for arguments in (["neighbours", "one"], ["analogy", "one", "two", "one"]):
        ran = mivae(*arguments, "--run", tmp_path / "run")
        assert ran.code == 4
        assert "no latent" in ran.err
