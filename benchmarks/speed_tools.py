"""Parts of `speed.py` without training: products, estimates, data preparation, start-up."""

__all__ = ["data", "encode", "mi", "peak", "startup"]

import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import tokenizers
import torch

from cells import Record
from generated import write_text
from machine import product_flops, seconds, statistics_of
from mivae_cli.config.data import BPETokenizerConfig, DataConfig
from mivae_cli.data.prepared_corpus import prepare_corpus
from mivae_cli.data.tokenizer import Tokenizer, train_tokenizer
from mivae_cli.estimators.known_posterior import AggregatedPosterior, aggregated_posterior
from mivae_cli.models.latent import DiagonalGaussian
from speed_plan import Plan

CPU = torch.device("cpu")
ROUNDS = 3
CHUNK = 5_000  # sentences encoded at a time
STARTS = {
    "mivae --help": ["-m", "mivae_cli", "--help"],
    "import torch": ["-c", "import torch"],
    "python only": ["-c", ""],
}


def peak(plan: Plan, folder: Path, argument: str) -> Record:
    """Measures products of square float32 matrices; returns GFLOP/s by size."""
    repeats = 3 * plan.repeats
    return {str(edge): product_flops(edge, plan.device, repeats) / 1e9 for edge in plan.products}


def mi(plan: Plan, folder: Path, argument: str) -> Record:
    """Measures the known posterior's mutual information of random posteriors, with intervals."""
    generator = torch.Generator().manual_seed(0)
    mean, noise = torch.randn(2, plan.mi_sentences, plan.latent_units, generator=generator)
    posterior = DiagonalGaussian(mean, torch.full_like(mean, -0.5))
    z = mean + posterior.scale * noise
    found: list[AggregatedPosterior] = []

    def densities(count: int) -> None:
        found.append(aggregated_posterior(posterior[:count], z[:count]))

    def intervals() -> None:
        found[-1].empirical()
        found[-1].leave_one_out()

    densities(100)
    intervals()
    taken = [
        (seconds(partial(densities, plan.mi_sentences), CPU), seconds(intervals, CPU))
        for _ in range(ROUNDS)
    ]
    values, widths = zip(*taken, strict=True)
    return {
        "sentences": plan.mi_sentences,
        "units": plan.latent_units,
        "nats": found[-1].empirical().value,
        "value_seconds": statistics_of(values),
        "interval_seconds": statistics_of(widths),
    }


def data(plan: Plan, folder: Path, argument: str) -> Record:
    """Measures preparing a text with one kind of tokenizer, without and with the cache."""
    path = folder / "text.txt"
    size = write_text(path, int(plan.megabytes * 1e6), plan.types, seed=0)
    config = DataConfig.model_validate({"train": str(path), "tokenizer": {"kind": argument}})
    prepare = partial(prepare_corpus, config, folder / "cache")
    first, second = (seconds(prepare, CPU) for _ in range(2))
    corpus = prepare()
    return {
        "megabytes": size / 1e6,
        "vocabulary": corpus.tokenizer.size,
        "sentences": sum(summary.sentences for summary in corpus.summaries.values()),
        "tokens": sum(summary.tokens for summary in corpus.summaries.values()),
        "first_seconds": first,
        "second_seconds": second,
    }


def encode(plan: Plan, folder: Path, argument: str) -> Record:
    """Measures BPE with the word cache, empty and filled, and the bare library: same ids."""
    path = Path(plan.text) if plan.text else folder / "text.txt"
    if not plan.text:
        write_text(path, int(plan.megabytes * 1e6), plan.types, seed=0)
    with path.open(encoding="utf-8") as file:
        lines = [text for line in file if (text := line.strip())]
    chunks = [lines[start : start + CHUNK] for start in range(0, len(lines), CHUNK)]
    train_tokenizer(chunks[0], BPETokenizerConfig()).save(folder / "tokenizer.json")
    tokenizer = Tokenizer.load(folder / "tokenizer.json")
    library = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    library.encode_special_tokens = True

    def bare(chunk: list[str]) -> Any:  # noqa: ANN401  # a list of lists or an array
        return [found.ids for found in library.encode_batch_fast(chunk)]

    def cpu_seconds(convert: Callable[[list[str]], object]) -> float:
        before = time.process_time()
        for chunk in chunks:
            convert(chunk)
        return time.process_time() - before

    first, second = (cpu_seconds(tokenizer.encode_flat) for _ in range(2))
    alone = cpu_seconds(bare)
    if any(tokenizer.encode(chunk) != bare(chunk) for chunk in chunks):
        raise RuntimeError("the ids of the word cache are not those of the library")
    return {
        "megabytes": path.stat().st_size / 1e6,
        "vocabulary": tokenizer.size,
        "cpu_seconds": {"bare library": alone, "empty cache": first, "filled cache": second},
    }


def startup(plan: Plan, folder: Path, argument: str) -> Record:
    """Measures the time of `mivae --help`, of importing torch, and of Python."""
    found: dict[str, list[float]] = {name: [] for name in STARTS}
    for _ in range(plan.launches):
        for name, arguments in STARTS.items():
            command = [sys.executable, *arguments]
            launch = partial(subprocess.run, command, check=True, stdout=subprocess.DEVNULL)
            found[name].append(seconds(launch, CPU))
    return {name: statistics_of(values) for name, values in found.items()}
