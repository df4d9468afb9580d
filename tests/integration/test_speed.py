"""The speed benchmark: it runs, and its counts and generated texts are right."""

import json
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import speed
from generated import MEAN, Zipf, corpus_of, word, write_store, write_text
from machine import INTERVAL, Memory, product_flops
from mivae_cli.data.tokenizer import BOUNDARY, UNKNOWN
from mivae_cli.models.vae import build_model
from plain import counterparts
from speed_plan import QUICK, embedding_size, ratio, training_flops
from speed_tables import MACHINE, TABLES, Found, show_memory

CPU = torch.device("cpu")
TINY = replace(
    QUICK,
    sizes=(16,),
    products=(64,),
    vocabulary=200,
    sentences=300,
    iw_samples=5,
    drawn=4,
    drawn_alone=2,
    max_tokens=3,
    mi_sentences=50,
    megabytes=0.02,
    types=300,
    stores=(100, 200),
)


@pytest.mark.parametrize("part", sorted(set(TABLES) - {"startup"}))
def test_each_part_measures_and_shows_a_table(
    part: str, capsys: pytest.CaptureFixture[str]
) -> None:
    found: Found = {}
    for cell in speed.cells(part, TINY):
        found.setdefault(cell, []).append(speed.measured(cell, TINY))
    found = json.loads(json.dumps(found))  # as from another process
    TABLES[part](found)
    show_memory(found)
    shown = capsys.readouterr().out
    widths = {block: {line.count("|") for line in block.split("\n")} for block in blocks(shown)}
    assert len(widths) >= 2
    assert all(len(counts) == 1 for counts in widths.values()), shown
    assert torch.__version__ in MACHINE.format(**found[cell][0]["machine"])


def blocks(shown: str) -> list[str]:
    return shown.strip().split("\n\n")


def test_the_command_measures_in_another_process_and_keeps_the_records(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "speed.json"
    speed.main(["--parts", "peak", "--quick", "--threads", "1", "--json", str(out)])
    shown = capfd.readouterr().out
    assert "## peak" in shown
    assert "1 threads" in shown
    (record,) = json.loads(out.read_text())["peak"]
    assert set(record["values"]) == {"256", "512"}
    assert all(gflops > 0 for gflops in record["values"].values())
    assert record["memory"]["maxrss_mib"] > 50


def test_an_unknown_part_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        speed.main(["--parts", "peak,pace"])
    assert stop.value.code == 2
    assert "pace" in capsys.readouterr().err


def test_options_change_the_plan() -> None:
    given = speed.parser().parse_args(["--quick", "--sizes", "8,16", "--repeats", "7"])
    plan = speed.planned(given)
    assert (plan.sizes, plan.repeats, plan.vocabulary) == ((8, 16), 7, QUICK.vocabulary)
    assert speed.cells("train", plan) == ["train/8", "train/16"]
    assert speed.cells("iw", plan) == ["iw/8"]


@pytest.mark.parametrize("size", [16, 600])
def test_the_work_of_a_step_is_six_flop_a_weight_of_its_products(size: int) -> None:
    """Each weight that a token uses costs a product and a sum in each of three passes."""
    plan = replace(QUICK, sizes=(size,))
    model = build_model(plan.run(size).model, plan.vocabulary)
    weights = counterparts(model)
    met = ["encoder.weight_ih_l0", "encoder.weight_hh_l0", "output.weight"]
    met += ["decoder.weight_ih_l0", "decoder.weight_hh_l0"]
    width = embedding_size(size)
    assert weights["decoder_embedding.weight"].shape[1] == width
    counted = training_flops(width, size, plan.latent_units, plan.vocabulary)
    assert counted == 6 * sum(weights[name].numel() for name in met)


def test_a_ratio_is_the_median_over_pairs() -> None:
    assert ratio([2.0, 30.0, 4.0], [1.0, 10.0, 1.0]) == 3.0  # the ratio of the medians is 4


def test_words_are_drawn_by_zipfs_law_and_lengths_have_the_mean_they_should() -> None:
    types, count = 50, 5_000
    lengths, ranks = Zipf(types, seed=0).draw(count)
    assert lengths.sum() == len(ranks)
    assert lengths.min() >= 1
    assert abs(lengths.mean() - MEAN) < 4 * lengths.std() / count**0.5 + 0.05  # 0.05: the cut
    expected = 1 / np.arange(1, types + 1)
    expected *= len(ranks) / expected.sum()
    seen = np.bincount(ranks, minlength=types)
    chi_squared = ((seen - expected) ** 2 / expected).sum()
    assert chi_squared < (types - 1) + 5 * (2 * (types - 1)) ** 0.5


def test_a_generated_store_holds_ids_of_words_alone(tmp_path: Path) -> None:
    vocabulary = 40
    store = write_store(tmp_path, 500, vocabulary, seed=0)
    corpus = corpus_of(store, vocabulary, tmp_path)
    assert len(store) == 500
    assert corpus.tokenizer.size == vocabulary
    assert set(range(vocabulary)) - {BOUNDARY, UNKNOWN} == set(store.tokens.tolist())
    assert isinstance(store.tokens, np.memmap)  # so that it does not count as anonymous memory


def test_words_are_all_different() -> None:
    words = [word(rank) for rank in range(20_000)]
    assert len(set(words)) == len(words)
    assert all(text.isalpha() for text in words)


def test_a_generated_text_has_its_size_and_its_frequent_words(tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    size = write_text(path, 100_000, types=500, seed=0)
    text = path.read_text()
    assert size == len(text) == path.stat().st_size
    assert 100_000 <= size < 250_000  # a thousand sentences at a time
    counts = Counter(text.split())
    assert [name for name, _ in counts.most_common(2)] == [word(0), word(1)]


def test_the_memory_watch_sees_memory_that_is_freed_again() -> None:
    with Memory() as memory:
        block = np.ones(8 * 2**20)  # 64 MiB
        before = memory.measurements
        while memory.measurements < before + 2:  # the first may have started before the allocation
            time.sleep(INTERVAL)
        del block
    record = memory.record()
    if "anonymous_peak_mib" in record:  # there is a /proc
        grown = record["anonymous_peak_mib"] - record["anonymous_before_mib"]
        assert 60 < grown < 100


def test_products_are_counted_by_their_multiplications_and_sums(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("machine.seconds", lambda action, device: 0.5)
    assert product_flops(8, CPU, repeats=3) == 2 * 8**3 / 0.5
