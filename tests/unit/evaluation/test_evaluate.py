"""The evaluation record: identities, known answers, and figures that agree."""

import io
import json
import math
import re
import statistics
from dataclasses import asdict, replace
from itertools import pairwise
from typing import Any

import pytest
import torch
from rich.console import Console

from mivae_cli.cli.support.evaluation_table import evaluation_table
from mivae_cli.config.model import ModelConfig
from mivae_cli.data.batches import Batch, ordered_batches
from mivae_cli.data.prepared_corpus import Corpus, TokenStore
from mivae_cli.evaluation import mutual_information as information
from mivae_cli.evaluation.consistency import contradictions
from mivae_cli.evaluation.encode import encode_split
from mivae_cli.evaluation.evaluate import (
    Evaluation,
    evaluate,
    evaluate_sentences,
    importance_weighted,
)
from mivae_cli.models.vae import VAE, build_model
from mivae_cli.models.von_mises_fisher import log_mean_exp_cosine, resultant_length
from mivae_cli.stages import Stage, finish
from support.small import SMALL, small_config, train_to_end, write_scenes

VOCABULARY = 11


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[VAE, Corpus]:
    folder = tmp_path_factory.mktemp("trained")
    text = write_scenes(folder / "scenes.txt", count=1500)
    training = {"epochs": 8, "optimizer": {"kind": "adam", "learning_rate": 5e-3}}
    objective = {"mi_weight": 2.0, "beta_schedule": {"kind": "constant", "value": 0.02}}
    config = small_config(text, training=training, objective=objective)
    run, corpus, _ = train_to_end(config, folder / "run")
    return run.load_model(), corpus


pytestmark = pytest.mark.usefixtures("brief")


@pytest.fixture
def store() -> TokenStore:
    generator = torch.Generator().manual_seed(1)
    return TokenStore.from_ids(
        torch.randint(2, VOCABULARY, (2 + place % 5,), generator=generator).tolist()
        for place in range(50)
    )


def uniform_model(latent_size: int = 4, **posterior: object) -> VAE:
    """A decoder that gives every word the same probability, whatever z."""
    config = ModelConfig.model_validate(
        {
            **SMALL["model"],
            "latent_size": latent_size,
            "posterior": {"kind": "gaussian", **posterior},
        }
    )
    model = build_model(config, VOCABULARY)
    torch.nn.init.zeros_(model.decoder.output.weight)
    torch.nn.init.zeros_(model.decoder.output.bias)
    if latent_size:
        torch.nn.init.zeros_(model.head.linear.weight)
        torch.nn.init.zeros_(model.head.linear.bias)
    return model


@pytest.mark.parametrize("latent_size", [0, 4])
def test_a_uniform_decoder_is_as_perplexed_as_its_vocabulary(
    store: TokenStore, latent_size: int
) -> None:
    record = finish(evaluate(uniform_model(latent_size), store, iw_samples=3))
    assert record.ppl_elbo == pytest.approx(VOCABULARY, rel=1e-5)
    assert record.ppl_iw == pytest.approx(VOCABULARY, rel=1e-5)
    assert record.tokens == len(store.tokens) + len(store)  # one end symbol a sentence
    assert record.active_units == 0
    assert record.rate == pytest.approx(0.0, abs=1e-6)


def test_a_posterior_that_is_the_prior_carries_no_information(store: TokenStore) -> None:
    record = finish(evaluate(uniform_model(), store, iw_samples=1))
    assert record.mi is not None
    assert record.mi.known_posterior.value == pytest.approx(0.0, abs=1e-6)
    assert record.mi.leave_one_out is not None
    assert record.mi.leave_one_out.value == pytest.approx(0.0, abs=1e-6)
    assert record.kl_aggregated_prior == pytest.approx(0.0, abs=1e-6)


def test_the_importance_weighted_nll_is_exact_where_the_decoder_ignores_z(
    store: TokenStore,
) -> None:
    """Then log p(x) is the decoder's own, for any posterior in many samples."""
    model = uniform_model()
    with torch.no_grad():
        model.head.linear.bias[:4] = 0.5
    bounds = finish(importance_weighted(model, store, samples=1000, seed=0))
    exact = -(torch.from_numpy(store.lengths.copy()) + 1) * math.log(VOCABULARY)
    torch.testing.assert_close(bounds, exact.float(), rtol=0, atol=0.1)


class TestOnTheSphere:
    @pytest.fixture
    def model(self) -> VAE:
        model = uniform_model(kind="von-mises-fisher", concentration=2.0)
        torch.nn.init.normal_(model.head.linear.weight, std=5.0)
        return model

    def test_the_record_has_one_rate_that_is_the_same_for_all(
        self, model: VAE, store: TokenStore
    ) -> None:
        record = finish(evaluate(model, store, iw_samples=200))
        kappa, size = 2.0, 4
        assert record.rates == [pytest.approx(record.rate)]
        assert record.rate == pytest.approx(
            kappa * resultant_length(kappa, size) - log_mean_exp_cosine(kappa, size)
        )
        assert record.mi is not None
        assert 0.1 < record.mi.known_posterior.value < record.rate + 0.3
        assert record.active_units == record.latent_units == 4
        assert record.ppl_iw == pytest.approx(VOCABULARY, rel=0.02)  # for z means nothing
        assert record.ppl_elbo > 1.03 * VOCABULARY

    def test_the_importance_weighted_bound_is_the_evidence_where_that_is_known(
        self, model: VAE, store: TokenStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        r"""With :math:`p(x \mid z) \propto e^{\kappa \mu(x) \cdot z}` the posterior is exact."""

        def log_likelihood(batch: Batch, z: torch.Tensor) -> torch.Tensor:
            return 2.0 * (z * model.encode(batch).posterior.mean).sum(dim=-1)

        monkeypatch.setattr(model, "log_likelihood", log_likelihood)
        bounds = finish(importance_weighted(model, store, samples=3, seed=0))
        expected = torch.full((50,), log_mean_exp_cosine(2.0, 4))
        torch.testing.assert_close(bounds, expected, rtol=0, atol=1e-4)


def test_the_record_keeps_its_identities(trained: tuple[VAE, Corpus]) -> None:
    model, corpus = trained
    record = finish(
        evaluate(model, corpus["test"], (corpus["train"], corpus["valid"]), iw_samples=20)
    )
    assert record.mi is not None
    known, dual = record.mi.known_posterior, record.mi.dual
    assert dual is not None
    assert record.mi.leave_one_out is not None
    assert record.nll == -record.elbo == record.distortion + record.rate
    assert record.iw_nll <= record.nll
    assert record.ppl_iw <= record.ppl_elbo
    assert sum(record.rates) == pytest.approx(record.rate, rel=1e-4)
    assert known.ceiling == pytest.approx(math.log(record.sentences))
    assert known.value <= math.log(record.sentences)
    assert known.value <= record.mi.leave_one_out.value
    assert record.mi.batch32.ceiling == pytest.approx(math.log(min(32, record.sentences)))
    assert dual.ci_low <= dual.value <= dual.ci_high
    assert dual.ci_low < record.mi.leave_one_out.value
    assert known.value > 0.3  # trained with the MI term and a small beta


@pytest.mark.parametrize(
    ("unseen", "remark"), [(0.0, "held-out critic"), (0.5, "too few product pairs")]
)
def test_a_lower_bound_that_is_none_says_so(
    trained: tuple[VAE, Corpus], unseen: float, remark: str
) -> None:
    model, corpus = trained
    record = finish(
        evaluate(model, corpus["test"], (corpus["train"], corpus["valid"]), iw_samples=1)
    )
    assert record.mi is not None
    assert record.mi.dual is not None
    mi = replace(record.mi, dual=replace(record.mi.dual, unseen=unseen))
    out = Console(file=io.StringIO(), width=120)
    out.print(evaluation_table(replace(record, mi=mi), "run"))
    assert isinstance(out.file, io.StringIO)
    (line,) = (line for line in out.file.getvalue().splitlines() if "MI lower bound" in line)
    assert remark in line


def test_it_tells_how_far_it_has_come(trained: tuple[VAE, Corpus]) -> None:
    model, corpus = trained
    told: list[Stage] = []
    record = finish(evaluate(model, corpus["test"], iw_samples=2), told.append)
    *weighing, last = told
    assert {stage.name for stage in weighing} == {
        f"{len(corpus['test'])} sentences, 2 importance samples each"
    }
    assert {stage.total for stage in weighing} == {record.tokens}
    done = [stage.done for stage in weighing]
    assert done[0] == 0
    assert done == sorted(set(done))
    assert done[-1] < record.tokens
    assert last.name == "measuring mutual information"
    assert record == finish(evaluate(model, corpus["test"], iw_samples=2))


def test_its_json_keys_are_a_contract(trained: tuple[VAE, Corpus]) -> None:
    model, corpus = trained
    table = json.loads(json.dumps(asdict(finish(evaluate(model, corpus["test"], iw_samples=1)))))
    assert {
        "elbo", "nll", "iw_nll", "iw_samples", "ppl_elbo", "ppl_iw", "distortion", "rate",
        "active_units", "latent_units", "sentences", "tokens", "mi", "kl_aggregated_prior",
    } <= set(table)  # fmt: skip
    assert set(table["mi"]) == {"known_posterior", "leave_one_out", "batch32", "dual"}
    assert set(table["mi"]["known_posterior"]) == {"value", "n", "ceiling", "ci_low", "ci_high"}


def test_the_known_posterior_and_the_decomposition_agree_exactly(
    trained: tuple[VAE, Corpus],
) -> None:
    model, corpus = trained
    report = information.report(model, corpus["test"], (corpus["train"], corpus["valid"]))
    values = {row.estimator: row.value for row in report.estimates}
    assert values["known-posterior"] == pytest.approx(values["decomposition"], abs=1e-9)
    assert set(values) == {
        "known-posterior", "leave-one-out", "dual", "batch32", "decomposition"
    }  # fmt: skip


def test_more_importance_samples_do_not_worsen_the_bound(trained: tuple[VAE, Corpus]) -> None:
    model, corpus = trained
    few, many = (
        torch.stack(
            [
                finish(importance_weighted(model, corpus["test"], samples, seed)).mean()
                for seed in range(5)
            ]
        ).mean()
        for samples in (1, 30)
    )
    assert many > few


def test_how_many_samples_pass_at_once_changes_nothing(
    trained: tuple[VAE, Corpus], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, corpus = trained
    together = finish(importance_weighted(model, corpus["test"], samples=6, seed=0))
    monkeypatch.setattr("mivae_cli.evaluation.evaluate.SEQUENCES", 1)
    one_by_one = finish(importance_weighted(model, corpus["test"], samples=6, seed=0))
    torch.testing.assert_close(together, one_by_one, rtol=1e-4, atol=1e-4)


def test_figures_of_sentences_average_to_those_of_the_record(trained: tuple[VAE, Corpus]) -> None:
    model, corpus = trained
    store = corpus["test"]
    record, values = finish(evaluate_sentences(model, store, iw_samples=20))
    assert len(values) == record.sentences
    for name in ("distortion", "rate", "nll", "iw_nll"):
        mean = getattr(values, name).mean(dtype=float)
        assert mean == pytest.approx(getattr(record, name), abs=1e-4), name
    # of the same sentences, wherever they are in the file
    _, others = finish(evaluate_sentences(model, shuffled(store, 1), iw_samples=20))
    assert others.iw_nll.tolist() == values.iw_nll.tolist()
    assert store.lines is not None
    assert values.line is not None
    assert sorted(values.line.tolist()) == sorted(store.lines.tolist())
    [place] = (values.line == store.lines[3]).nonzero()[0]
    alone = finish(evaluate_sentences(model, store._selected([3]), iw_samples=1))[1]
    assert alone.rate[0] == pytest.approx(values.rate[place], abs=1e-4)


def test_figures_of_sentences_of_a_language_model_are_exact(store: TokenStore) -> None:
    _, values = finish(evaluate_sentences(uniform_model(latent_size=0), store))
    expected = (store.canonical().lengths + 1) * math.log(VOCABULARY)
    assert values.iw_nll == pytest.approx(expected, rel=1e-5)
    assert values.nll == pytest.approx(expected, rel=1e-5)
    assert values.line is None


def test_a_reading_keeps_the_order_of_the_store_and_needs_no_batches(
    trained: tuple[VAE, Corpus], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, corpus = trained
    whole = encode_split(model, corpus["test"], seed=0)
    monkeypatch.setattr("mivae_cli.evaluation.encode.BATCH", 3)
    parts = encode_split(model, corpus["test"], seed=0)
    torch.testing.assert_close(whole.distortion, parts.distortion, rtol=1e-4, atol=1e-4)
    with torch.no_grad():
        indices, batch = next(iter(ordered_batches(corpus["test"], 1)))
        alone = model.encode(batch).posterior.mean
    torch.testing.assert_close(whole.posterior.mean[int(indices[0])], alone[0])


def test_the_features_of_the_first_sentences_are_kept_in_the_order_of_the_store(
    trained: tuple[VAE, Corpus], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, corpus = trained
    monkeypatch.setattr("mivae_cli.evaluation.encode.BATCH", 3)
    encoded = encode_split(model, corpus["test"], seed=0, featured=7)
    assert encoded.features.shape == (7, model.features)
    with torch.no_grad():
        posterior = model.head(encoded.features)
    torch.testing.assert_close(posterior.mean, encoded.posterior.mean[:7])
    assert encode_split(model, corpus["test"], 0).features.shape == (0, model.features)
    everything = encode_split(model, corpus["test"], 0, featured=10**6).features
    assert len(everything) == len(corpus["test"])


def test_a_language_model_has_no_information_to_report(store: TokenStore) -> None:
    record = finish(evaluate(uniform_model(latent_size=0), store))
    assert record.mi is None
    assert record.nll == record.iw_nll
    assert record.latent_units == 0


def test_a_single_sentence_is_no_error(trained: tuple[VAE, Corpus]) -> None:
    model, corpus = trained
    one = TokenStore.from_ids([corpus["test"].sentence(0)])
    record = finish(evaluate(model, one, (corpus["train"], corpus["valid"]), iw_samples=2))
    assert record.mi is not None
    assert record.mi.leave_one_out is None
    assert record.mi.dual is None
    assert record.mi.known_posterior.value == pytest.approx(0.0, abs=1e-9)


def shuffled(store: TokenStore, seed: int) -> TokenStore:
    order = torch.randperm(len(store), generator=torch.Generator().manual_seed(seed)).tolist()
    return TokenStore.from_ids(store.sentence(index) for index in order)


def test_the_order_of_the_sentences_changes_no_digit(trained: tuple[VAE, Corpus]) -> None:
    model, corpus = trained
    test, fitting = corpus["test"], (corpus["train"], corpus["valid"])
    twice = [*range(len(test)), 0, 0, 3]  # with copies
    store = TokenStore.from_ids(test.sentence(index) for index in twice)
    first = finish(evaluate(model, store, fitting, 3, tokenizer=corpus.tokenizer))
    for seed in (1, 2):
        assert (
            finish(evaluate(model, shuffled(store, seed), fitting, 3, tokenizer=corpus.tokenizer))
            == first
        )
    report = information.report(model, store, fitting, draws=2)
    again = information.report(model, shuffled(store, 3), fitting, draws=2)
    for before, after in zip(report.estimates, again.estimates, strict=True):
        assert replace(before, seconds=None) == replace(after, seconds=None)


def test_no_order_matters_on_the_sphere_either(store: TokenStore) -> None:
    model = uniform_model(kind="von-mises-fisher", concentration=20.0)
    assert finish(evaluate(model, shuffled(store, 1), iw_samples=2)) == finish(
        evaluate(model, store, iw_samples=2)
    )


def test_the_canonical_order_is_one_of_the_same_sentences(store: TokenStore) -> None:
    doubled = TokenStore.from_ids(store.sentence(index % 50) for index in range(100))
    canonical = doubled.canonical()
    rows = sorted(map(canonical.sentence, range(100)))
    assert rows == sorted(map(doubled.sentence, range(100)))
    again = shuffled(doubled, 5).canonical()
    assert again.tokens.tolist() == canonical.tokens.tolist()
    assert again.offsets.tolist() == canonical.offsets.tolist()
    # neither by length nor by copies: the jackknife deals neighbours to different groups
    lengths = canonical.lengths
    assert (lengths[1:] < lengths[:-1]).sum() > 20
    assert sum(a == b for a, b in pairwise(map(canonical.sentence, range(100)))) < 10


def test_another_seed_moves_the_known_posterior_by_less_than_a_tenth_of_its_interval(
    trained: tuple[VAE, Corpus],
) -> None:
    model, corpus = trained
    found = [
        finish(evaluate(model, corpus["test"], iw_samples=1, seed=seed)).mi for seed in range(6)
    ]
    for name in ("known_posterior", "leave_one_out"):
        figures = [getattr(each, name) for each in found]
        width = figures[0].ci_high - figures[0].ci_low
        assert statistics.stdev(figure.value for figure in figures) < width / 10


def shown(record: Evaluation) -> str:
    out = Console(file=io.StringIO(), width=200)
    out.print(evaluation_table(record, "run"))
    assert isinstance(out.file, io.StringIO)
    return out.file.getvalue()


def test_the_rate_divides_exactly_in_json_and_as_shown(trained: tuple[VAE, Corpus]) -> None:
    model, corpus = trained
    record = finish(evaluate(model, corpus["test"], iw_samples=1))
    assert record.mi is not None
    assert record.rate - record.mi.known_posterior.value == record.kl_aggregated_prior
    for rate in (record.rate, 5.644, 0.0049):
        value = 0.4 * rate + 0.0012
        known = replace(record.mi.known_posterior, value=value)
        changed = replace(record, rate=rate, mi=replace(record.mi, known_posterior=known))
        figures = dict(
            re.findall(r"^ *(\S.*?) {2,}(-?[\d.]+) ", shown(changed), flags=re.MULTILINE)
        )
        rest = float(figures["KL (rate)"]) - float(figures["MI (known posterior)"])
        assert float(figures["KL(q(z)‖p(z))"]) == pytest.approx(rest, abs=1e-9)


class TestContradictions:
    @pytest.fixture
    def record(self, trained: tuple[VAE, Corpus]) -> Evaluation:
        model, corpus = trained
        fitting = corpus["train"], corpus["valid"]
        record = finish(evaluate(model, corpus["test"], fitting, iw_samples=20))
        return replace(record, rate=20.0, warnings=[])  # so few sentences put the upper bound high

    @staticmethod
    def told(record: Evaluation, **changes: Any) -> list[str]:  # noqa: ANN401
        assert record.mi is not None
        figures = {
            "mi": record.mi,
            "rate": record.rate,
            "active_units": record.active_units,
            "perplexities": (record.ppl_elbo, record.ppl_iw),
            "iw_samples": 20,
        }
        return contradictions(**{**figures, **changes})

    def test_figures_that_agree_have_none(self, record: Evaluation) -> None:
        assert self.told(record) == []
        assert "note:" not in shown(record)

    @pytest.mark.parametrize(
        ("name", "value", "words"),
        [
            ("dual", 50.0, ["MI lower bound (50.00)", "MI upper bound", "KL (rate)"]),
            ("known_posterior", 50.0, ["MI (known posterior) (50.00)", "KL (rate)"]),
            ("leave_one_out", 50.0, ["MI upper bound (50.00)", "KL (rate)"]),
            ("leave_one_out", math.inf, ["not finite"]),
        ],
    )
    def test_estimates_beyond_what_bounds_them(
        self, record: Evaluation, name: str, value: float, words: list[str]
    ) -> None:
        assert record.mi is not None
        figure = replace(
            getattr(record.mi, name), value=value, ci_low=value - 1, ci_high=value + 1
        )
        found = self.told(record, mi=replace(record.mi, **{name: figure}))
        for word in words:
            assert any(word in line for line in found)
        changed = replace(record, warnings=found)
        assert shown(changed).count("note: ") == len(found)

    def test_intervals_that_reach_over_are_none(self, record: Evaluation) -> None:
        assert record.mi is not None
        wide = replace(record.mi.known_posterior, value=50.0, ci_low=0.0, ci_high=100.0)
        assert self.told(record, mi=replace(record.mi, known_posterior=wide)) == []

    def test_information_without_an_active_unit(self, record: Evaluation) -> None:
        assert any("No unit is active" in line for line in self.told(record, active_units=0))

    def test_importance_weighting_that_makes_it_worse(self, record: Evaluation) -> None:
        assert any("--iw-samples" in line for line in self.told(record, perplexities=(20.0, 21.0)))

    def test_a_sharp_posterior_on_the_sphere_is_told_of_and_has_active_units(
        self, store: TokenStore
    ) -> None:
        model = uniform_model(kind="von-mises-fisher", concentration=100_000)
        torch.nn.init.normal_(model.head.linear.weight, std=0.02)
        torch.nn.init.ones_(model.head.linear.bias)  # all directions are nearly the same
        record = finish(evaluate(model, store, iw_samples=1))
        assert record.mi is not None
        assert record.mi.known_posterior.value > 1
        assert record.active_units > 0
        assert record.effective_units > 0
        upper = record.mi.leave_one_out
        assert upper is not None
        flagged = any("MI upper bound" in line for line in record.warnings)
        assert flagged == (upper.value > record.rate + 0.1)
