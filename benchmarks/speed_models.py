"""Parts of `speed.py` that run a model: training, importance weighting, sampling.

Blocks of two compared programs alternate, and the ratio is the median over blocks, so that other
load on the machine affects both.
"""

__all__ = ["growth", "iw", "sample", "train"]

from collections.abc import Callable, Iterable
from functools import partial
from itertools import islice
from pathlib import Path
from statistics import median

import torch

from cells import Record
from machine import product_flops, seconds, statistics_of
from mivae_cli.data.batches import Batch
from mivae_cli.data.prepared_corpus import TokenStore
from mivae_cli.evaluation import evaluate as evaluation
from mivae_cli.generation.decoding import Decoding, decode
from mivae_cli.stages import finish
from mivae_cli.training.trainer import Trainer
from plain import PlainVAE, importance_weighted, plain_copy, plain_step, random_batches
from speed_plan import Plan, embedding_size, ratio, training_flops

Stepper = Callable[[Batch], object]

ROUNDS = 3  # of importance weighting and sampling


def train(plan: Plan, folder: Path, argument: str) -> Record:
    """Measures training with a number of hidden units, in alternating blocks of steps."""
    size, device = int(argument), plan.device
    corpus = plan.corpus(folder)
    trainer, with_term = (Trainer(plan.run(size, weight), corpus) for weight in (0.0, 1.0))
    count = plan.steps * (plan.repeats + 1)  # the first block is a warm-up
    random = random_batches(corpus["train"], plan.batch_size, seed=0)
    batches = list(islice(trainer.sampler.batches(0), count))
    random_order = [Batch(*batch) for batch in islice(random, count)]
    programs: dict[str, tuple[Stepper, list[Batch]]] = {
        "mivae": (trainer.step, batches),
        "mivae with the MI term": (with_term.step, batches),
        "plain, the same batches": (_plain_trainer(plan, plain_copy(trainer.model)), batches),
        "plain, random batches": (_plain_trainer(plan, plain_copy(trainer.model)), random_order),
    }
    edge = max(plan.products, key=lambda edge: product_flops(edge, device, plan.repeats))
    rates: dict[str, list[float]] = {name: [] for name in programs}
    peaks = []
    for start in range(0, count, plan.steps):
        before = product_flops(edge, device, plan.repeats)
        for name, (step, those) in programs.items():
            some = those[start : start + plan.steps]
            taken = seconds(partial(_each, step, some), device)
            rates[name].append(sum(map(_tokens, some)) / taken)
        peaks.append((before + product_flops(edge, device, plan.repeats)) / 2)
    rates, peaks = {name: values[1:] for name, values in rates.items()}, peaks[1:]
    vocabulary = corpus.tokenizer.size
    flops = training_flops(embedding_size(size), size, plan.latent_units, vocabulary)
    ours, with_mi, plain, plain_random_order = rates.values()
    return {
        "flops_per_token": flops,
        "vocabulary": vocabulary,
        "peak_gflops": median(peaks) / 1e9,
        "tokens_per_second": {name: statistics_of(values) for name, values in rates.items()},
        "share_of_peak": {name: flops * ratio(values, peaks) for name, values in rates.items()},
        "over_plain_same": ratio(ours, plain),
        "over_plain_random": ratio(ours, plain_random_order),
        "mi_overhead": ratio(ours, with_mi) - 1,
        "padding_same": _padding(batches),
        "padding_random": _padding(random_order),
    }


def iw(plan: Plan, folder: Path, argument: str) -> Record:
    """Measures importance-weighted likelihoods; the plain program gets fewer sentences."""
    size, device = int(argument), plan.device
    corpus = plan.corpus(folder)
    whole = corpus["train"]
    order = whole.lengths.argsort(kind="stable")
    first = (len(order) - plan.iw_sentences) // 2  # of similar length, as in an evaluation
    places = order[first : first + plan.iw_sentences].tolist()
    ours, few, one = (
        TokenStore.from_ids(whole.sentence(place) for place in places[:count])
        for count in (plan.iw_sentences, plan.iw_plain_sentences, 1)
    )
    model = Trainer(plan.run(size), corpus).model
    plain = plain_copy(model)
    bounds, plain_bounds = [], []

    def weigh(store: TokenStore, seed: int) -> None:
        bounds.append(finish(evaluation.importance_weighted(model, store, plan.iw_samples, seed)))

    def weigh_plain(store: TokenStore) -> None:
        plain_bounds.append(importance_weighted(plain, store, plan.iw_samples))

    weigh(one, 0)  # warm-up
    weigh_plain(one)
    bounds.clear()
    plain_bounds.clear()
    rates, plain_rates = [], []
    for seed in range(ROUNDS):
        rates.append(_predicted(ours) / seconds(partial(weigh, ours, seed), device))
        plain_rates.append(_predicted(few) / seconds(partial(weigh_plain, few), device))
    means = torch.stack(bounds)[:, : len(few)].double().mean(dim=1)
    plain_means = torch.stack(plain_bounds).double().mean(dim=1)
    return {
        "samples": plan.iw_samples,
        "sentences": len(ours),
        "plain_sentences": len(few),
        "tokens_per_second": statistics_of(rates),
        "plain_tokens_per_second": statistics_of(plain_rates),
        "over_plain": ratio(rates, plain_rates),
        "nll": -float(means.mean()),
        "plain_nll": -float(plain_means.mean()),
        # of the difference, from the variance over seeds
        "standard_error": float(((means.var() + plain_means.var()) / ROUNDS).sqrt()),
    }


def sample(plan: Plan, folder: Path, argument: str) -> Record:
    """Measures sampling in a batch and one at a time, greedily and at temperature 1."""
    model = Trainer(plan.run(min(plan.sizes)), plan.corpus(folder)).model
    z = torch.randn(plan.drawn, plan.latent_units)
    generator = torch.Generator().manual_seed(0)
    kinds = {
        "greedy": Decoding(beam=1, max_tokens=plan.max_tokens),
        "temperature 1": Decoding(max_tokens=plan.max_tokens),
    }
    found: Record = {}
    for name, decoding in kinds.items():

        def draw(parts: Iterable[torch.Tensor], decoding: Decoding = decoding) -> None:
            for part in parts:
                decode(model, part, decoding, generator)

        one_by_one = z[: plan.drawn_alone].split(1)
        draw(one_by_one[:2])
        together, alone = [], []
        for _ in range(ROUNDS):
            together.append(len(z) / seconds(partial(draw, [z]), plan.device))
            alone.append(len(one_by_one) / seconds(partial(draw, one_by_one), plan.device))
        found[name] = {
            "together": statistics_of(together),
            "alone": statistics_of(alone),
            "ratio": ratio(together, alone),
        }
    return found


def growth(plan: Plan, folder: Path, argument: str) -> Record:
    """Measures training from a store of a given number of generated sentences."""
    corpus = plan.generated(folder, int(argument))
    store = corpus["train"]
    trainer = Trainer(plan.run(min(plan.sizes)), corpus)
    batches = trainer.sampler.batches(0)
    tokens: list[int] = []

    def block(steps: int) -> None:
        some = list(islice(batches, steps))
        _each(trainer.step, some)
        tokens.append(sum(map(_tokens, some)))

    first = seconds(partial(block, 1), plan.device)
    seconds(partial(block, plan.steps), plan.device)
    tokens.clear()
    taken = [seconds(partial(block, plan.steps), plan.device) for _ in range(plan.repeats)]
    rates = [count / spent for count, spent in zip(tokens, taken, strict=True)]
    return {
        "sentences": len(store),
        "store_mib": (store.tokens.nbytes + store.offsets.nbytes) / 2**20,
        "first_step_seconds": first,
        "tokens_per_second": statistics_of(rates),
    }


def _plain_trainer(plan: Plan, model: PlainVAE) -> Stepper:
    optimizer = torch.optim.Adam(model.parameters(), lr=plan.learning_rate)

    def step(batch: Batch) -> float:
        tokens, lengths = batch.tokens, batch.lengths
        return plain_step(model, optimizer, tokens, lengths, max_norm=plan.max_norm)

    return step


def _each(step: Stepper, batches: Iterable[Batch]) -> None:
    for batch in batches:
        step(batch)


def _tokens(batch: Batch) -> int:
    return int(batch.lengths.sum()) + len(batch)


def _predicted(store: TokenStore) -> int:
    return len(store.tokens) + len(store)


def _padding(batches: Iterable[Batch]) -> float:
    """Returns the fraction of predicted positions that are padding."""
    shapes = [(len(batch) * (batch.tokens.shape[1] + 1), _tokens(batch)) for batch in batches]
    places, held = map(sum, zip(*shapes, strict=True))
    return 1 - held / places
