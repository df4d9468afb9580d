"""Trains on scenes, and measures how much z knows about each factor of a scene.

The grammar of `scenes.py` draws who, action, place, time, number and tense independently, so
each I(factor; z) is at most the factor's entropy. With z_i drawn from the posterior of sentence i,
and the posteriors of all N sentences,

    I(c; z) = E[ log q(z | c) - log q(z) ],    q(z | c) = mean of q(z | x_j) over sentences j with c_j = c

and the sum over independent factors is at most I(x; z).

    python examples/factors.py
"""

import argparse
import math
import tempfile
from collections.abc import Sequence

import torch

import mivae_cli as mivae
from scenes import FACTORS, factor_entropy, parse, scenes

SETTINGS = {
    "data.tokenizer.kind": "word",
    "model.latent_size": 8,
    "model.encoder.embedding_size": 32,
    "model.decoder.embedding_size": 32,
    "model.encoder.hidden_size": 64,
    "model.decoder.hidden_size": 64,
    "model.decoder.dropout": 0.0,
    "objective.beta": 0.2,
    "training.optimizer.learning_rate": 0.003,
}


def factor_information(codes: mivae.Codes, z: torch.Tensor, factor: Sequence[str]) -> float:
    """Returns I(factor; z) in nats over N sentences, from their posteriors.

    Arguments:
        codes: The posteriors of the sentences.
        z: One draw per sentence, with shape (N, Z).
        factor: The value of the factor for each sentence.
    """
    density = torch.stack([codes.posterior.log_prob(row) for row in z])  # (i, j): log q(z_i | x_j)
    values = sorted(set(factor))
    group = torch.tensor([values.index(value) for value in factor])
    same = group[:, None] == group  # (i, j)
    given = density.masked_fill(~same, -math.inf).logsumexp(dim=1) - same.sum(dim=1).log()
    mixture = density.logsumexp(dim=1) - math.log(len(z))
    return float((given - mixture).mean())


def main(arguments: Sequence[str] | None = None) -> None:
    """Trains for half a minute and prints a row per factor."""
    parser = argparse.ArgumentParser(description="Measure I(factor; z) of scenes.")
    parser.add_argument("--epochs", type=int, default=8, help="Training epochs (%(default)s).")
    parser.add_argument("--count", type=int, default=6000, help="Sentences (%(default)s).")
    options = parser.parse_args(arguments)

    corpus = [scene.sentence() for scene in scenes(options.count, seed=0)]
    with tempfile.TemporaryDirectory() as folder:
        run = mivae.train(
            corpus,
            settings={**SETTINGS, "training.epochs": options.epochs},
            out=f"{folder}/run",
            evaluate=False,
            progress=True,
        )
        sentences = list(run.sentences("test"))
        codes = run.encode(sentences)
    z = codes.posterior.rsample(torch.Generator().manual_seed(0))
    parsed = [parse(sentence) for sentence in sentences]
    print("factor   I(factor; z)   entropy   share")
    for name in FACTORS:
        values = [getattr(scene, name) for scene in parsed]
        found, entropy = factor_information(codes, z, values), factor_entropy(name)
        print(f"{name:<8} {found:12.2f} {entropy:9.2f} {found / entropy:7.0%}")


if __name__ == "__main__":
    main()
