r"""The reference language model, which scores the samples of all runs on a corpus.

Two sets of sentences are compared by the perplexity of one under a language model trained on the
other: an LSTM with fixed sizes and training settings, in the vocabulary of the run. Results of
different settings are not comparable.
"""

__all__ = ["FIXED_LM", "described", "trained_lm"]

import tempfile
from collections.abc import Generator
from pathlib import Path

import torch

from ..config.model import ModelConfig, RecurrentDecoderConfig
from ..config.run import RunConfig
from ..config.training import AdamConfig, TrainingConfig
from ..data.prepared_corpus import Corpus, TokenStore
from ..data.tokenizer import Tokenizer
from ..errors import ConfigError, DivergedError, StorageError
from ..models.vae import VAE
from ..objectives.objective import Objective
from ..objectives.schedules import Constant
from ..runs.create import create_run
from ..stages import Stage
from ..training.events import Step, Validation
from ..training.trainer import Trainer

# On 17,822 captions (V = 3,584), six epochs take two and a half minutes on one x86-64 thread. The
# test perplexity is then 18.8; 25 epochs of the preset `lm` reach 18.4.
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
        precision="float32",  # on all devices, so that results do not depend on the device
        patience=1,
        max_decays=1,
        keep=0,
        save_minutes=1e6,  # never: the run is not resumed
    ),
)


def described(config: RunConfig) -> str:
    """Returns a one-line summary of a language model's settings."""
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
    """Trains a language model, yields its progress, and returns the model.

    The run is stored in a temporary directory, which is removed in any case. The state of torch's
    random generators is restored.

    Arguments:
        name: Name of the stages.
        train: Training sentences, at least two.
        valid: Validation sentences, which select the best epoch.
        tokenizer: The vocabulary of both.
        config: The settings, except seed and device.
        device: Device of training and of the returned model.
        seed: Seeds weights, batch order and dropout.

    Raises:
        DivergedError: Training diverged.
        StorageError: The temporary directory has no space.
    """
    config = config.model_copy(update={"seed": seed, "device": str(device)})
    cuda = [device] if device.type == "cuda" else []
    with (
        tempfile.TemporaryDirectory(prefix="mivae-") as place,
        torch.random.fork_rng(devices=cuda),
    ):
        folder = Path(place) / "vocabulary"  # the only part of a corpus that a run directory needs
        folder.mkdir()
        tokenizer.save(folder / "tokenizer.json")
        corpus = Corpus(folder, tokenizer, {"train": train, "valid": valid}, {})
        try:
            trainer = Trainer(config, corpus)
            run = create_run(Path(place) / "run", config, corpus)
            steps = len(trainer.sampler) * config.training.epochs
            yield Stage(name, 0, steps)
            for record in trainer.fit(run):
                if isinstance(record, Step | Validation):
                    yield Stage(name, record.step, steps)
            return run.load_model(device)
        except DivergedError as error:  # its advice refers to the temporary run
            raise DivergedError(
                "training of the reference language model diverged. Try another seed"
            ) from error
        except (ConfigError, StorageError) as error:
            raise StorageError(
                f"cannot train the reference language model in '{place}': {error}. Use another "
                "temporary directory: set the environment variable TMPDIR"
            ) from error
