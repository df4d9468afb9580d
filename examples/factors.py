"""Trains on scenes with the library, and measures what z knows of each factor.

The grammar of `scenes.py` draws who, action, place, time, number and tense independently, so
each I(factor; z) has a known ceiling, the factor's entropy. With z_i drawn from the posterior
of sentence i, and the posteriors of all sentences at hand, it is

    I(c; z) = E[ log q(z | c) - log q(z) ],    q(z | c) = mean of q(z | x_j) over sentences j with c_j = c

and adds up, over independent factors, to at most I(x; z).

    python examples/factors.py
"""

import math
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch

from mivae_cli.config.resolve import read_config
from mivae_cli.data.prepared_corpus import prepare_corpus
from mivae_cli.evaluation.encode import encode_split
from mivae_cli.models.latent import Posterior
from mivae_cli.runs.create import create_run
from mivae_cli.training.trainer import Trainer, Validation
from scenes import FACTORS, factor_entropy, parse, scenes

SETTINGS = [
    "data.tokenizer.kind=word",
    "model.latent_size=8",
    "model.encoder.embedding_size=32",
    "model.decoder.embedding_size=32",
    "model.encoder.hidden_size=64",
    "model.decoder.hidden_size=64",
    "model.decoder.dropout=0.0",
    "objective.beta=0.2",
    "training.optimizer.learning_rate=0.003",
    "training.epochs=8",
]


def factor_information(posterior: Posterior, z: torch.Tensor, factor: Sequence[str]) -> float:
    """Returns I(factor; z) in nats over these N sentences, from their posteriors."""
    density = torch.stack([posterior.log_prob(row) for row in z])  # (i, j): log q(z_i | x_j)
    values = sorted(set(factor))
    group = torch.tensor([values.index(value) for value in factor])
    same = group[:, None] == group  # (i, j)
    given = density.masked_fill(~same, -math.inf).logsumexp(dim=1) - same.sum(dim=1).log()
    mixture = density.logsumexp(dim=1) - math.log(len(z))
    return float((given - mixture).mean())


def main() -> None:
    """Trains for half a minute and prints a line a factor."""
    with tempfile.TemporaryDirectory() as folder:
        text = Path(folder) / "scenes.txt"
        text.write_text("".join(f"{scene.sentence()}\n" for scene in scenes(6000, seed=0)))
        config = read_config(options={"data.train": str(text)}, overrides=SETTINGS)
        corpus = prepare_corpus(config.data, Path(folder) / "cache")
        run = create_run(Path(folder) / "run", config, corpus)
        for record in Trainer(config, corpus).fit(run):
            if isinstance(record, Validation):
                print(
                    f"epoch {record.epoch}: D {record.distortion:.2f}  KL {record.rate:.2f}  "
                    f"MI {record.mi:.2f}",
                    file=sys.stderr,
                )
        model, test = run.load_model(), corpus["test"]
        reading = encode_split(model, test, seed=0)
        told = [parse(corpus.tokenizer.decode(test.sentence(row))) for row in range(len(test))]
        print("factor   I(factor; z)   entropy   share")
        for name in FACTORS:
            found = factor_information(
                reading.posterior, reading.z, [getattr(scene, name) for scene in told]
            )
            entropy = factor_entropy(name)
            print(f"{name:<8} {found:12.2f} {entropy:9.2f} {found / entropy:7.0%}")


if __name__ == "__main__":
    main()
