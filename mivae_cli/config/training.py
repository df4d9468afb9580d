"""Settings of training: optimizer, learning-rate schedule, checkpoints and the critic."""

__all__ = ["AdamConfig", "CriticConfig", "SGDConfig", "SplitConfig", "TrainingConfig"]

from typing import Annotated, Literal

from pydantic import Field, PositiveFloat

from ..choices import Precision
from ..limits import MAX_BATCH, MAX_COUNT
from ..schema import Count, Frozen, OrNone, Probability
from .model import Critic, SeparableCriticConfig


class CriticConfig(Frozen):
    """Critic of the mutual-information term."""

    network: Critic = SeparableCriticConfig()
    """Critic network: separable or concatenated."""
    steps: Count = 1
    """Critic steps per model step (K)."""
    learning_rate: PositiveFloat = 1e-3
    """Learning rate of the critic's Adam optimizer."""
    queue_size: Annotated[int, Field(ge=0, le=MAX_COUNT)] = 1024
    """Queue of sentences from earlier batches: samples of the product of the marginals."""
    xi_decay: Probability = 0.9
    """Decay per batch of the moving average of the partition function."""
    clip: Annotated[PositiveFloat | None, OrNone] = None
    """Maximum pointwise information of product pairs in the model's gradient, in nats; or none."""


class AdamConfig(Frozen):
    """Adam optimizer."""

    kind: Literal["adam"] = "adam"
    learning_rate: PositiveFloat = 1e-3
    """Initial learning rate."""


class SGDConfig(Frozen):
    """Stochastic gradient descent without momentum, as in He et al. (2019)."""

    kind: Literal["sgd"] = "sgd"
    learning_rate: PositiveFloat = 1.0
    """Initial learning rate."""


class SplitConfig(Frozen):
    """SGD for the decoder's embedding and output layer, Adam for all other weights."""

    kind: Literal["adam-sgd"] = "adam-sgd"
    learning_rate: PositiveFloat = 1e-3
    """Initial learning rate of Adam."""
    word_learning_rate: PositiveFloat = 1.0
    """Initial learning rate of SGD."""


Optimizer = Annotated[AdamConfig | SGDConfig | SplitConfig, Field(discriminator="kind")]


class TrainingConfig(Frozen):
    """Training loop: optimizer, epochs, learning-rate schedule and checkpoints."""

    optimizer: Optimizer = AdamConfig()
    """Optimizer: adam, sgd or adam-sgd."""
    epochs: Count = 25
    """Maximum number of epochs."""
    batch_size: Annotated[int, Field(ge=2, le=MAX_BATCH)] = 64
    """Batch size in sentences."""
    precision: Precision = "auto"
    """Precision of matrix products; auto: bfloat16 on CUDA devices that support it, else float32."""
    max_norm: PositiveFloat = 5.0
    """Maximum Euclidean norm of the gradient; larger gradients are clipped."""
    autoencoder_epochs: Annotated[int, Field(ge=0, le=MAX_COUNT)] = 0
    """Initial epochs that minimise the distortion alone (Li et al., 2019)."""
    reset_decoder: bool = False
    """Whether to reinitialise the decoder after the autoencoder epochs."""
    encoder_steps: Annotated[int, Field(ge=0, le=MAX_COUNT)] = 0
    """Maximum number of encoder steps before each decoder step (He et al., 2019); 0: none."""
    encoder_check: Count = 15
    """Encoder steps between checks whether the loss still decreases."""
    decay: Annotated[float, Field(gt=0, lt=1)] = 0.5
    """Factor on the learning rate at each decay."""
    patience: Count = 2
    """Validations without improvement before the learning rate decays."""
    max_decays: Annotated[int, Field(ge=0, le=MAX_COUNT)] = 3
    """Maximum number of decays; training stops when another one is due."""
    cooldown_epochs: Annotated[int, Field(ge=0, le=MAX_COUNT)] = 0
    """Final epochs over which the learning rate decays linearly to zero (Hägele et al., 2024)."""
    graphs: bool = True
    """Whether to use CUDA graphs, which speed up training on CUDA devices."""
    log_every: Count = 20
    """Steps between progress records."""
    save_minutes: PositiveFloat = 10.0
    """Minutes between checkpoints within an epoch."""
    keep: Annotated[int, Field(ge=0, le=MAX_COUNT)] = 1
    """Checkpoints to keep besides the best and the last."""
    report: bool = True
    """Whether training ends with report.html in the run, if the extra 'report' is installed."""
    max_bad_batches: Count = 5
    """Consecutive batches without a finite loss or gradient before training stops."""
