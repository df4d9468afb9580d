"""Evaluation in full: models that are known, and the program on a small run."""

import json
import math
import os
import signal
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from mivae_cli.config.data import BPETokenizerConfig
from mivae_cli.config.model import ModelConfig
from mivae_cli.config.training import AdamConfig, TrainingConfig
from mivae_cli.data.prepared_corpus import Corpus, TokenStore
from mivae_cli.data.tokenizer import BOUNDARY, UNKNOWN, train_tokenizer
from mivae_cli.evaluation.encode import encode_split
from mivae_cli.evaluation.evaluate import evaluate
from mivae_cli.evaluation.text_record import Full
from mivae_cli.generation.evaluate_text import Plan, evaluate_text
from mivae_cli.generation.reference_lm import FIXED_LM, trained_lm
from mivae_cli.models.vae import VAE, build_model
from mivae_cli.runs.directory import RunDirectory
from mivae_cli.stages import Stage, finish
from mivae_cli.training.trainer import Trainer
from support.program import Mivae
from support.small import SMALL, small_config, train_to_end, write_scenes

TINY_LM = FIXED_LM.model_copy(
    update={
        "model": ModelConfig.model_validate({**SMALL["model"], "latent_size": 0}),
        "training": TrainingConfig(epochs=2, batch_size=16, precision="float32"),
    }
)
EAGER_LM = TINY_LM.model_copy(  # which learns something in a moment
    update={
        "training": TrainingConfig(
            optimizer=AdamConfig(learning_rate=1e-2),
            epochs=6,
            batch_size=8,
            precision="float32",
        )
    }
)
TINY = Plan(samples=40, self_bleu=20, pairs=5, steps=3, lm=TINY_LM)
CPU = torch.device("cpu")
WORD = 4  # that a model with one word has


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run, `vae`, and a language model of its vocabulary, `lm`."""
    folder = tmp_path_factory.mktemp("runs")
    text = write_scenes(folder / "scenes.txt", count=300)
    train_to_end(small_config(text), folder / "vae")
    train_to_end(small_config(text, model={"latent_size": 0}), folder / "lm")
    return folder


@pytest.fixture
def corpus(runs: Path) -> Corpus:
    return RunDirectory.open(runs / "vae").open_corpus()


def model_of(logits: dict[int, float], size: int, latent_size: int = 4) -> VAE:
    """A decoder that says words with the same probabilities at every place, whatever z."""
    config = ModelConfig.model_validate({**SMALL["model"], "latent_size": latent_size})
    model = build_model(config, size)
    torch.nn.init.zeros_(model.decoder.output.weight)
    torch.nn.init.zeros_(model.decoder.output.bias)
    with torch.no_grad():
        for word, logit in logits.items():
            model.decoder.output.bias[word] = logit
    return model.eval()


def measured(model: VAE, corpus: Corpus, store: TokenStore, **settings: Any) -> Full:  # noqa: ANN401
    stages: list[Stage] = []
    work = evaluate_text(model, corpus, store, max_tokens=3, **{"plan": TINY, **settings})
    full = finish(work, stages.append)
    assert stages
    assert all(stage.done <= stage.total for stage in stages)
    return full


def test_a_model_that_always_says_the_same(corpus: Corpus) -> None:
    """It says one word three times; of four sentences, one is that."""
    model = model_of({WORD: 50.0}, corpus.tokenizer.size)
    store = TokenStore.from_ids([[WORD] * 3, [WORD, 3], [3, 3, 3], [WORD] * 2])
    full = measured(model, corpus, store)
    assert full.reconstruction is not None
    assert full.reconstruction.exact_match == 1 / 4
    assert full.reconstruction.token_accuracy == (4 + 1 + 1 + 2) / (4 + 3 + 4 + 3)
    assert full.interpolation is not None
    walks = full.interpolation
    assert walks.neighbours == walks.largest_jump == walks.ends == 0
    assert walks.pairs == 2  # of two sentences each
    assert walks.nll_per_token[0] == pytest.approx(walks.nll_per_token[2])
    said = full.generation.samples
    assert said.distinct_1 == 1 / 120
    assert said.self_bleu_4 == pytest.approx(100)
    assert said.mean_length == 3
    assert said.copies == 0


def test_a_uniform_judge_is_as_perplexed_as_its_vocabulary(corpus: Corpus) -> None:
    size = corpus.tokenizer.size
    judge = "uniform", model_of({}, size, latent_size=0)
    full = measured(model_of({}, size), corpus, corpus["test"], lm=judge)
    assert full.generation.forward_ppl == pytest.approx(size, rel=1e-5)
    assert full.generation.forward_ppl_real == pytest.approx(size, rel=1e-5)
    assert full.interpolation is not None
    assert full.interpolation.nll_per_token == pytest.approx([math.log(size)] * 3, rel=1e-5)
    assert full.protocol.forward_lm == "uniform"
    assert full.protocol.reverse_lm != "uniform"


def test_what_has_learned_from_noise_does_not_know_the_language(corpus: Corpus) -> None:
    plan = replace(TINY, samples=100, lm=EAGER_LM)
    judge = "uniform", model_of({}, corpus.tokenizer.size, latent_size=0)
    noise = measured(judge[1], corpus, corpus["test"], lm=judge, plan=plan).generation
    assert noise.reverse_ppl > 1.3 * noise.reverse_ppl_real
    assert noise.samples.distinct_2 > noise.real.distinct_2
    assert noise.samples.self_bleu_4 < noise.real.self_bleu_4


def test_the_unknown_word_is_said_as_any_other(corpus: Corpus) -> None:
    model = model_of({UNKNOWN: 50.0}, corpus.tokenizer.size)
    full = measured(model, corpus, TokenStore.from_ids([[UNKNOWN] * 3, [WORD]]))
    assert full.reconstruction is not None
    assert full.reconstruction.exact_match == 1 / 2


def test_copies_of_training_lines_are_seen(corpus: Corpus) -> None:
    """A model of one sentence, which stands in the training split."""
    model = model_of({WORD: 50.0}, corpus.tokenizer.size)
    train = TokenStore.from_ids([[WORD] * 3, [WORD], [3, 3]])
    changed = replace(corpus, stores={**corpus.stores, "train": train})
    store = TokenStore.from_ids([[3, 3], [3], [5, 5], [WORD, WORD]])
    generation = measured(model, changed, store).generation
    assert generation.samples.copies == 1
    assert generation.real.copies == 1 / 4


def test_as_many_samples_as_training_sentences_take_no_third_language_model(
    corpus: Corpus,
) -> None:
    few = replace(corpus, stores={**corpus.stores, "train": corpus["train"].sample(50, seed=0)})
    model = model_of({BOUNDARY: 1.0}, corpus.tokenizer.size)
    plan = replace(TINY, samples=None)
    full = measured(model, few, corpus["test"], plan=plan)
    assert full.protocol.samples == full.protocol.real == 50
    assert full.generation.reverse_ppl_real == full.generation.forward_ppl_real


def test_the_figures_depend_on_the_seed_alone(corpus: Corpus) -> None:
    model = model_of({BOUNDARY: 1.0}, corpus.tokenizer.size)
    first = measured(model, corpus, corpus["test"])
    torch.manual_seed(17)
    assert measured(model, corpus, corpus["test"]) == first
    other = measured(model, corpus, corpus["test"], seed=1).generation
    assert other.reverse_ppl != first.generation.reverse_ppl
    assert other.samples != first.generation.samples


def test_a_language_model_is_judged_by_what_it_writes_alone(corpus: Corpus) -> None:
    model = model_of({BOUNDARY: 1.0}, corpus.tokenizer.size, latent_size=0)
    full = measured(model, corpus, corpus["test"])
    assert full.reconstruction is None
    assert full.interpolation is None
    assert full.protocol.bleu is None


def test_one_sentence_is_no_walk(corpus: Corpus) -> None:
    model = model_of({}, corpus.tokenizer.size)
    full = measured(model, corpus, TokenStore.from_ids([[WORD]]))
    assert full.reconstruction is not None
    assert full.interpolation is None


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary directories are made, and nothing else."""
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    return place


def learned(train: TokenStore, corpus: Corpus) -> VAE:
    valid, tokenizer = corpus["valid"], corpus.tokenizer
    return finish(trained_lm("", train, valid, tokenizer, EAGER_LM, CPU, seed=0))


def test_a_language_model_learns_the_only_sentence(corpus: Corpus, temporary: Path) -> None:
    """It is then hardly perplexed by it, and what was drawn before and after is as ever."""
    store = TokenStore.from_ids([[2, 3, 4]] * 200)
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    lm = learned(store, replace(corpus, stores={**corpus.stores, "valid": store}))
    assert torch.equal(torch.rand(3), expected)
    assert float(encode_split(lm, store, seed=0).distortion.mean()) / 4 < 0.2
    assert list(temporary.iterdir()) == []


def test_broken_off_training_leaves_nothing(corpus: Corpus, temporary: Path) -> None:
    passes = trained_lm("", corpus["train"], corpus["valid"], corpus.tokenizer, TINY_LM, CPU, 0)
    next(passes)
    assert list(temporary.iterdir()) != []
    passes.close()
    assert list(temporary.iterdir()) == []


def test_bits_a_character_of_uniform_bytes() -> None:
    tokenizer = train_tokenizer(["ab ba"], BPETokenizerConfig(vocab_size=258, min_count=1000))
    assert tokenizer.size == 258
    store = TokenStore.from_ids(tokenizer.encode(["a cat sat .", "no"]))
    model = model_of({}, 258, latent_size=0)
    text = finish(evaluate(model, store, tokenizer=tokenizer)).text
    assert text is not None
    assert text.characters == 11 + 2 + 2
    assert text.bits_per_character_elbo == pytest.approx(math.log2(258))
    assert text.bits_per_character_iw == pytest.approx(math.log2(258))
    assert text.words == 4 + 1 + 2
    assert text.ppl_word_iw == pytest.approx(258 ** (15 / 7), rel=1e-4)


def test_a_character_may_be_of_several_bytes() -> None:
    tokenizer = train_tokenizer(["ab ba"], BPETokenizerConfig(vocab_size=258, min_count=1000))
    store = TokenStore.from_ids(tokenizer.encode(["né"]))
    text = finish(evaluate(model_of({}, 258, latent_size=0), store, tokenizer=tokenizer)).text
    assert text is not None
    assert text.characters == 3
    assert text.bits_per_character_iw == pytest.approx(4 / 3 * math.log2(258), rel=1e-4)


def test_words_are_words_where_they_are_the_tokens(corpus: Corpus) -> None:
    model = model_of({BOUNDARY: 1.0}, corpus.tokenizer.size)
    record = finish(evaluate(model, corpus["test"], iw_samples=2, tokenizer=corpus.tokenizer))
    assert record.text is not None
    assert record.text.words == record.tokens
    assert record.text.ppl_word_iw == record.ppl_iw
    assert record.text.ppl_word_elbo == record.ppl_elbo
    assert record.text.characters is record.text.bits_per_character_iw is None


@pytest.fixture
def evaluated(mivae: Mivae, runs: Path) -> Callable[..., dict[str, Any]]:
    def run(*options: str) -> dict[str, Any]:
        ran = mivae("eval", runs / "vae", "--iw-samples", "1", "--json", *options)
        assert ran.code == 0, ran.err
        record: dict[str, Any] = json.loads(ran.out)
        return {**record, "said": ran.err}

    return run


def test_the_program_measures_in_full_and_keeps_it(
    mivae: Mivae, runs: Path, evaluated: Callable[..., dict[str, Any]], temporary: Path
) -> None:
    judge = "--lm", runs / "lm"
    ran = mivae("eval", runs / "vae", "--full", "--samples", "20", *judge, "--iw-samples", "1")
    assert ran.code == 0, ran.err
    for words in ("reconstruction BLEU", "tok:none", "reverse perplexity", "edit distance"):
        assert words in ran.out
    assert f"forward: the run {runs / 'lm'}" in ran.out
    stored = RunDirectory.open(runs / "vae")
    record = stored.load_evaluation()
    full = record["full"]
    assert record["checkpoint"] == {
        "name": stored.find_checkpoint().name,
        "step": stored.find_checkpoint().step,
    }
    assert set(full) == {"protocol", "reconstruction", "generation", "interpolation"}
    assert full["protocol"]["samples"] == 20
    assert full["protocol"]["forward_lm"] == f"the run {runs / 'lm'}"
    assert full["interpolation"]["steps"] == len(full["interpolation"]["nll_per_token"]) == 7
    lm = RunDirectory.open(runs / "lm").load_model()
    by_hand = finish(evaluate(lm, stored.open_corpus()["test"])).ppl_elbo
    assert full["generation"]["forward_ppl_real"] == pytest.approx(by_hand)
    assert "training a language model on the samples ..." in ran.err
    assert "on the training split" not in ran.err
    assert list(temporary.iterdir()) == []

    again = evaluated()
    assert "--full" in again.pop("said")
    assert again == RunDirectory.open(runs / "vae").load_evaluation() == record
    last = mivae("eval", runs / "vae" / "checkpoints" / "last", "--iw-samples", "1")
    assert last.code == 0
    assert RunDirectory.open(runs / "vae").load_evaluation()["full"] == full

    few = "--full", "--samples", "10", *judge, "--iw-samples", "2"
    for options in (("--seed", "1"), ("--iw-samples", "3"), few):
        other = evaluated(*map(str, options))
        assert (other["seed"], other["iw_samples"]) != (0, 1)
        assert "1 samples, seed 0" in other["said"]
        assert RunDirectory.open(runs / "vae").load_evaluations().exactly(1, 0) == record
    sampled = [each["full"]["protocol"]["samples"] for each in stored.load_evaluations().full]
    assert sampled == [20, 10]


def test_of_a_language_model_the_table_shows_what_it_writes(mivae: Mivae, runs: Path) -> None:
    judge = "--lm", runs / "lm"
    ran = mivae("eval", runs / "lm", "--full", "--samples", "2", *judge, "--json")
    assert ran.code == 0, ran.err
    record = json.loads(ran.out)
    assert record["full"]["reconstruction"] is record["full"]["interpolation"] is None
    assert record["ppl_elbo"] == pytest.approx(record["full"]["generation"]["forward_ppl_real"])
    shown = mivae("eval", runs / "lm").out
    assert "perplexity" in shown
    assert "KL" not in shown


@pytest.mark.parametrize("where", ["in a step", "between steps"])
def test_a_signal_leaves_nothing_behind(
    mivae: Mivae,
    runs: Path,
    temporary: Path,
    monkeypatch: pytest.MonkeyPatch,
    where: str,
) -> None:
    begun: list[Path] = []

    def interrupted(*_: Any) -> None:  # noqa: ANN401
        begun.extend(temporary.iterdir())
        os.kill(os.getpid(), signal.SIGTERM)

    if where == "in a step":
        monkeypatch.setattr(Trainer, "step", interrupted)
    else:
        monkeypatch.setattr(
            "mivae_cli.cli.support.live_progress.note",
            interrupted_at("on the samples", interrupted),
        )
    before = RunDirectory.open(runs / "vae").path.joinpath("manifest.json").read_bytes()
    judge = "--lm", runs / "lm"
    ran = mivae("eval", runs / "vae", "--full", "--samples", "20", *judge, "--iw-samples", "1")
    assert ran.code == 143
    assert begun != []
    assert list(temporary.iterdir()) == []
    assert (runs / "vae" / "manifest.json").read_bytes() == before


def interrupted_at(word: str, action: Callable[[], None]) -> Callable[[str], None]:
    return lambda said: action() if word in said else None


def test_what_does_not_fit_is_said_before_anything_is_measured(
    mivae: Mivae, runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object) -> None:
        pytest.fail("it was measured")

    monkeypatch.setattr("mivae_cli.experiments.evaluate_run.evaluate_sentences", never)
    run = runs / "vae"
    ran = mivae("eval", run, "--samples", "5")
    assert (ran.code, "--full" in ran.err) == (2, True)
    ran = mivae("eval", run, "--full", "--lm", run)
    assert (ran.code, "preset lm" in ran.err) == (4, True)
    text = tmp_path / "other.txt"
    text.write_text("quite other words\n" * 300 + "and others too\n" * 300)
    settings = {"model": {"latent_size": 0}, "training": {"epochs": 1}}
    splits = {"valid": str(text), "test": str(text)}
    train_to_end(small_config(text, data=splits, **settings), tmp_path / "lm")
    ran = mivae("eval", run, "--full", "--lm", tmp_path / "lm")
    assert (ran.code, f"{tmp_path / 'lm'}" in ran.err) == (4, True)
    monkeypatch.setitem(sys.modules, "sacrebleu", None)
    ran = mivae("eval", run, "--full")
    assert (ran.code, "sacrebleu" in ran.err) == (2, True)
