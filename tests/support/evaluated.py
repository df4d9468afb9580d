"""Outcomes of evaluated runs that were never trained, with known records."""

import math
from dataclasses import asdict
from typing import Any

import numpy as np

from mivae_cli.config.run import RunConfig
from mivae_cli.evaluation.sentence_values import SentenceValues, file_of
from mivae_cli.experiments.summary import Outcome

HOSTILE = ["=1+1", "+1", "-x", "@SUM(A1)", " =cmd()", "\t=1", "a,b", 'say "x"', "a|b", "x_{1}$%&#",
           "\\input{x}", "two\nlines", "~^<>", "[b](c)", "\uff1d1"]  # fmt: skip


def record(**changes: object) -> dict[str, Any]:
    """Returns an evaluation record of 1,000 sentences."""
    mi = {
        "known_posterior": {"value": 4.5, "ci_low": 4, "ci_high": 5, "n": 1000,
                            "ceiling": math.log(1000)},
        "leave_one_out": {"value": 4.75, "ci_low": 4, "ci_high": 5, "n": 1000, "ceiling": None},
        "batch32": {"value": 3.45, "ci_low": 3, "ci_high": 4, "n": 32, "ceiling": math.log(32)},
        "dual": {"value": 4.25, "ci_low": 4, "ci_high": 5, "log_xi": 0.0, "n": 1000, "unseen": 0},
    }  # fmt: skip
    plain = {"ppl_iw": 18.0, "iw_nll": 35.5, "nll": 36.0, "distortion": 31.0, "rate": 5.0, "iw_samples": 100,
             "active_units": 8, "latent_units": 32, "sentences": 1000, "tokens": 9000}  # fmt: skip
    return {**plain, "mi": mi, **changes}


def run(
    name: str,
    table: dict[str, Any] | None = None,
    evaluation: dict[str, Any] | None = None,
    **changes: object,
) -> Outcome:
    """Returns the outcome of an evaluated run with given settings and metrics."""
    return Outcome(
        name=name,
        path=f"runs/{name}",
        standing="evaluated",
        config=RunConfig.model_validate(table or {}),
        evaluation=evaluation or record(**changes),
        minutes=12.5,
        parameters=1_000_000,
        tested="these",
    )


def weight(value: float, seed: int = 0) -> dict[str, Any]:
    return {"objective": {"mi_weight": value}, "seed": seed}


def sentence_values(count: int = 20, seed: int = 0, mean: float = 30.0) -> SentenceValues:
    """Returns figures of sentences, drawn at random."""
    generator = np.random.default_rng(seed)
    figures = generator.normal((mean - 5, 5, mean - 1), 1, (count, 3)).astype(np.float32)
    distortion, rate, iw_nll = figures.T
    return SentenceValues(distortion, rate, iw_nll, np.arange(count, dtype=np.uint32))


def stored(
    values: SentenceValues, checkpoint: str = "epoch-0001", **record: object
) -> tuple[dict[str, Any], bytes]:
    """Returns an evaluation record with figures per sentence, and the content of their file."""
    content = values.content()
    entry = asdict(file_of(content, checkpoint))
    return {"sentences": len(values), **record, "sentence_values": entry}, content
