"""Settings of training: the optimizer, its schedule, and the critic's own steps."""

__all__ = ["AdamConfig", "CriticConfig", "SGDConfig", "SplitConfig", "TrainingConfig"]

from typing import Annotated, Literal

from pydantic import Field, PositiveFloat

from ..choices import Precision
from ..limits import MAX_BATCH, MAX_COUNT
from ..schema import Count, Frozen, OrNone, Probability
from .model import Critic, SeparableCriticConfig


class CriticConfig(Frozen):
    """The critic of the mutual-information term and how it learns."""

    network: Critic = SeparableCriticConfig()
    """The shape of the critic: separable or concatenated."""
    steps: Count = 1
    """Critic steps before each step of the model (K)."""
    learning_rate: PositiveFloat = 1e-3
    """Adam's step size for the critic."""
    queue_size: Annotated[int, Field(ge=0, le=MAX_COUNT)] = 1024
    """Sentences of earlier batches that the product of the marginals is drawn from."""
    xi_decay: Probability = 0.9
    """How much of the moving average of the partition function survives a batch."""
    clip: Annotated[PositiveFloat | None, OrNone] = None
    """Bound on the pointwise information of product pairs, in the model's gradient only; or none."""


class AdamConfig(Frozen):
    """Adam."""

    kind: Literal["adam"] = "adam"
    learning_rate: PositiveFloat = 1e-3
    """Initial step size."""


class SGDConfig(Frozen):
    """Plain stochastic gradient descent, as in He et al. (2019)."""

    kind: Literal["sgd"] = "sgd"
    learning_rate: PositiveFloat = 1.0
    """Initial step size."""


class SplitConfig(Frozen):
    """Plain descent where the decoder's weights belong to single words, Adam for all else."""

    kind: Literal["adam-sgd"] = "adam-sgd"
    learning_rate: PositiveFloat = 1e-3
    """Adam's initial step size."""
    word_learning_rate: PositiveFloat = 1.0
    """Initial step size of plain descent, for the decoder's embedding and output layer."""


Optimizer = Annotated[AdamConfig | SGDConfig | SplitConfig, Field(discriminator="kind")]


class TrainingConfig(Frozen):
    """How the objective is minimised."""

    optimizer: Optimizer = AdamConfig()
    """How the model's weights are moved: adam, sgd or adam-sgd."""
    epochs: Count = 25
    """At most so many passes over the corpus."""
    batch_size: Annotated[int, Field(ge=2, le=MAX_BATCH)] = 64
    """Sentences a step."""
    precision: Precision = "auto"
    """Of the network's products; auto is bfloat16 where a CUDA device has it, else float32."""
    max_norm: PositiveFloat = 5.0
    """An optimizer's gradients are clipped to this Euclidean norm."""
    autoencoder_epochs: Annotated[int, Field(ge=0, le=MAX_COUNT)] = 0
    """So many of the epochs, the first ones, learn by distortion alone (Li et al., 2019)."""
    reset_decoder: bool = False
    """Whether the decoder's weights are drawn anew after the autoencoder epochs."""
    encoder_steps: Annotated[int, Field(ge=0, le=MAX_COUNT)] = 0
    """Extra steps of the encoder, at most, before a step of the decoder (He et al., 2019)."""
    encoder_check: Count = 15
    """Of these, steps between two looks at whether the loss still falls."""
    decay: Annotated[float, Field(gt=0, lt=1)] = 0.5
    """Factor on the learning rate when validation no longer improves."""
    patience: Count = 2
    """Validations without improvement before a decay."""
    max_decays: Annotated[int, Field(ge=0, le=MAX_COUNT)] = 3
    """The decay after so many ends the training."""
    cooldown_epochs: Annotated[int, Field(ge=0, le=MAX_COUNT)] = 0
    """So many of the epochs, the last ones, take the learning rate straight to zero (Hägele, 2024)."""
    graphs: bool = True
    """Whether a CUDA device replays steps as graphs; without, each is launched anew, and slower."""
    log_every: Count = 20
    """Steps between two records of progress."""
    save_minutes: PositiveFloat = 10.0
    """Minutes between two saves in the middle of an epoch."""
    keep: Annotated[int, Field(ge=0, le=MAX_COUNT)] = 1
    """Checkpoints that are kept beside the best and the last."""
    max_bad_batches: Count = 5
    """So many batches in a row without finite numbers end the training."""
