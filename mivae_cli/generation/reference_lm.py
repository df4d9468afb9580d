r"""The fixed language model: one judge of text, the same for all runs on a corpus.

Text is held against text by what a language model that has learned the one makes of the other:
an LSTM of fixed sizes, trained in a fixed way in the run's own vocabulary. Its settings are part
of what the figures mean: whoever changes them gets others, which do not compare.

Shapes: N sentences. All in nats.
"""

__all__ = ["FIXED_LM", "described", "likelihoods", "trained_lm"]

import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path

import torch
from torch import Tensor

from ..config.model import ModelConfig, RecurrentDecoderConfig
from ..config.run import RunConfig
from ..config.training import AdamConfig, TrainingConfig
from ..data.prepared_corpus import Corpus, TokenStore
from ..data.tokenizer import Tokenizer
from ..errors import ConfigError, DivergedError, StorageError
from ..evaluation.encode import encode_split
from ..models.vae import VAE
from ..objectives.objective import Objective
from ..objectives.schedules import Constant
from ..runs.create import create_run
from ..runs.directory import RunDirectory
from ..stages import Stage
from ..training.events import Step, Validation
from ..training.trainer import Trainer

# On 17,822 captions (V = 3,584) the six epochs take two and a half minutes of one x86-64 thread;
# the test perplexity was 18.8 then, and 18.4 after 25 epochs of the preset `lm`.
FIXED_LM = RunConfig(
    name="fixed-lm",
    model=ModelConfig(
        latent_size=0,
        decoder=RecurrentDecoderConfig(embedding_size=256, hidden_size=256, dropout=0.3),
    ),
    objective=Objective(mi_weight=0.0, beta_schedule=Constant()),
    training=TrainingConfig(
        optimizer=AdamConfig(learning_rate=2e-3),
        epochs=6,
        batch_size=64,
        precision="float32",  # everywhere, or a device would be part of the protocol
        patience=1,
        max_decays=1,
        keep=0,
        save_minutes=1e6,  # it is not gone on with
    ),
)


def described(config: RunConfig) -> str:
    """Returns in a line what a language model's settings are."""
    decoder, training = config.model.decoder, config.training
    assert isinstance(decoder, RecurrentDecoderConfig)
    return (
        f"LSTM {decoder.embedding_size}/{decoder.hidden_size}, dropout {decoder.dropout:g}, "
        f"{training.optimizer.kind} {training.optimizer.learning_rate:g}, batches of "
        f"{training.batch_size}, best of at most {training.epochs} epochs on the valid split"
    )


def trained_lm(
    name: str,
    train: TokenStore,
    valid: TokenStore,
    tokenizer: Tokenizer,
    config: RunConfig,
    device: torch.device,
    seed: int,
) -> Generator[Stage, None, VAE]:
    """Trains a language model, yields how far it has come, and returns it.

    Its run lies in a temporary directory, which is gone when this ends, however it ends. What the
    caller draws from torch's own generators is as if nothing had been trained.

    Arguments:
        name: What its stage is called.
        train: The sentences that it learns from, two or more.
        valid: The sentences that choose the epoch.
        tokenizer: The vocabulary of both.
        config: Its settings, but for seed and device.
        device: Where it is trained, and where it stays.
        seed: Seeds its weights, its order and its dropout.

    Raises:
        DivergedError: Training left the finite numbers.
        StorageError: The temporary directory cannot hold it.
    """
    config = config.model_copy(update={"seed": seed, "device": str(device)})
    cuda = [device] if device.type == "cuda" else []
    with (
        tempfile.TemporaryDirectory(prefix="mivae-") as place,
        torch.random.fork_rng(devices=cuda),
    ):
        folder = Path(place) / "vocabulary"  # all that a run's directory needs of its corpus
        folder.mkdir()
        tokenizer.save(folder / "tokenizer.json")
        corpus = Corpus(folder, tokenizer, {"train": train, "valid": valid}, {})
        try:
            trainer = Trainer(config, corpus)
            run = create_run(Path(place) / "run", config, corpus)
            yield from _stages(name, trainer, run)
            return run.load_model(device)
        except DivergedError as error:  # whose own advice is about a run that will be gone
            raise DivergedError(
                "training of the reference language model diverged. Try another --seed"
            ) from error
        except (ConfigError, StorageError) as error:
            raise StorageError(
                f"the fixed language model cannot be trained under '{place}' (the environment "
                f"variable TMPDIR names another place): {error}"
            ) from error


def likelihoods(lm: VAE, store: TokenStore) -> Tensor:
    """Returns the negative log-likelihood of each sentence, its end counted, with shape (N,)."""
    return encode_split(lm, store, seed=0).distortion  # without a latent, nothing is drawn


def _stages(name: str, trainer: Trainer, run: RunDirectory) -> Iterator[Stage]:
    steps = len(trainer.sampler) * trainer.config.training.epochs
    yield Stage(name, 0, steps)
    for record in trainer.fit(run):
        if isinstance(record, Step | Validation):
            yield Stage(name, record.step, steps)
