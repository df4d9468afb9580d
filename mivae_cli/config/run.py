"""The one description of a run: read from TOML, stored as JSON beside the weights.

Nothing here imports torch, so the command line can offer every choice without paying for
it, and a run's configuration can be read on any machine.
"""

__all__ = [
    "TEXTS",
    "AdamConfig",
    "BPETokenizerConfig",
    "CriticConfig",
    "DataConfig",
    "EvaluationConfig",
    "RunConfig",
    "SGDConfig",
    "SplitConfig",
    "TrainingConfig",
    "WordTokenizerConfig",
]

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, PositiveFloat

from ..choices import BadRows, Precision, Quoting, TextFormat
from ..limits import MOST_BATCH, MOST_COUNT, MOST_IW_SAMPLES, MOST_SEED, MOST_VOCABULARY
from ..objectives.objective import Objective
from ..schema import Count, Frozen, OrNone, Probability
from .model import Critic, ModelConfig, SeparableCriticConfig


def _without_controls(text: str) -> str:
    if not CONTROLS.isdisjoint(text):
        raise ValueError("control characters have no place here")
    return text


def _delimiter(text: str) -> str:
    if text in ("\t", r"\t"):
        return "tab"
    if text not in ("auto", "tab") and (len(text) != 1 or text in '"\r\n\0'):
        raise ValueError("write one character (not a quote), tab, or auto")
    return text


TEXTS = ("train", "valid", "test")  # the data settings that are paths
# What no machine could hold is refused here, before anything is made of it.
CONTROLS = frozenset(map(chr, [*range(32), *range(127, 160)]))
Name = Annotated[str, Field(max_length=128), AfterValidator(_without_controls)]
Text = Annotated[str, Field(max_length=4096), AfterValidator(_without_controls)]
Column = Annotated[
    Text, BeforeValidator(lambda value: str(value) if type(value) is int else value)
]


class WordTokenizerConfig(Frozen):
    """Words are what stands between spaces, as in the field's benchmarks."""

    kind: Literal["word"] = "word"
    vocab_size: Annotated[int, Field(ge=3, le=MOST_VOCABULARY)] = 20_000
    """At most so many entries, the end of a sentence and the unknown word among them."""
    min_count: Count = 2
    """Rarer words are read as the unknown word."""


class BPETokenizerConfig(Frozen):
    """Byte-level byte-pair encoding: any text is read and given back without loss."""

    kind: Literal["bpe"] = "bpe"
    vocab_size: Annotated[int, Field(ge=258, le=MOST_VOCABULARY)] = 8_000
    """At most so many entries; 256 bytes and two symbols are always there."""
    min_count: Count = 2
    """A pair seen less often is not merged."""


Tokenizer = Annotated[WordTokenizerConfig | BPETokenizerConfig, Field(discriminator="kind")]


class DataConfig(Frozen):
    """Where the sentences are and how they become tokens."""

    train: Text = ""
    """A text file, a folder, or - for standard input; relative to the TOML file if named there."""
    valid: Text = ""
    """Held-out sentences to choose the checkpoint on; empty: split off from train."""
    test: Text = ""
    """Held-out sentences to report on; empty: split off from train."""
    valid_share: Probability = 0.05
    """The share that is split off for validation, by a hash of the sentence."""
    test_share: Probability = 0.05
    """The share that is split off for the test, by a hash of the sentence."""
    format: TextFormat = "auto"
    """How files are read: text, json, csv or tsv; auto goes by the file's extension."""
    field: Text = "text"
    """The field that holds the text in JSON objects; data.text is the field text inside data."""
    column: Column = "text"
    """The column that holds the text in tables: its name, or its number counted from 1."""
    delimiter: Annotated[str, AfterValidator(_delimiter)] = "auto"
    """What separates the cells of a table: a character or tab; auto is , in .csv and tab in .tsv."""
    quoting: Quoting = "auto"
    """Whether quotes enclose cells: minimal or none; auto is minimal in .csv and none in .tsv."""
    header: bool = True
    """Whether the first row of a table names its columns."""
    bad_rows: BadRows = "stop"
    """Rows of the wrong length and records without a text: stop with an error, or skip and count."""
    tokenizer: Tokenizer = BPETokenizerConfig()
    """How a sentence becomes tokens: word or bpe."""
    max_tokens: Count = 100
    """The longest sentence, in tokens, the end symbol not counted."""
    too_long: Literal["truncate", "skip"] = "truncate"
    """What becomes of longer sentences."""


class CriticConfig(Frozen):
    """The critic of the mutual-information term and how it learns."""

    network: Critic = SeparableCriticConfig()
    """The shape of the critic: separable or concatenated."""
    steps: Count = 1
    """Critic steps before each step of the model (K)."""
    learning_rate: PositiveFloat = 1e-3
    """Adam's step size for the critic."""
    queue_size: Annotated[int, Field(ge=0, le=MOST_COUNT)] = 1024
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
    batch_size: Annotated[int, Field(ge=2, le=MOST_BATCH)] = 64
    """Sentences a step."""
    precision: Precision = "auto"
    """Of the network's products; auto is bfloat16 where a CUDA device has it, else float32."""
    max_norm: PositiveFloat = 5.0
    """An optimizer's gradients are clipped to this Euclidean norm."""
    autoencoder_epochs: Annotated[int, Field(ge=0, le=MOST_COUNT)] = 0
    """So many of the epochs, the first ones, learn by distortion alone (Li et al., 2019)."""
    reset_decoder: bool = False
    """Whether the decoder's weights are drawn anew after the autoencoder epochs."""
    encoder_steps: Annotated[int, Field(ge=0, le=MOST_COUNT)] = 0
    """Extra steps of the encoder, at most, before a step of the decoder (He et al., 2019)."""
    encoder_check: Count = 15
    """Of these, steps between two looks at whether the loss still falls."""
    decay: Annotated[float, Field(gt=0, lt=1)] = 0.5
    """Factor on the learning rate when validation no longer improves."""
    patience: Count = 2
    """Validations without improvement before a decay."""
    max_decays: Annotated[int, Field(ge=0, le=MOST_COUNT)] = 3
    """The decay after so many ends the training."""
    cooldown_epochs: Annotated[int, Field(ge=0, le=MOST_COUNT)] = 0
    """So many of the epochs, the last ones, take the learning rate straight to zero (Hägele, 2024)."""
    graphs: bool = True
    """Whether a CUDA device replays steps as graphs; without, each is launched anew, and slower."""
    log_every: Count = 20
    """Steps between two records of progress."""
    save_minutes: PositiveFloat = 10.0
    """Minutes between two saves in the middle of an epoch."""
    keep: Annotated[int, Field(ge=0, le=MOST_COUNT)] = 1
    """Checkpoints that are kept beside the best and the last."""
    max_bad_batches: Count = 5
    """So many batches in a row without finite numbers end the training."""


class EvaluationConfig(Frozen):
    """The protocol by which train, eval and sweep evaluate the run; figures are its own."""

    iw_samples: Annotated[int, Field(ge=1, le=MOST_IW_SAMPLES)] = 100
    """Samples of z per sentence for the importance-weighted bound; 500 in published tables."""
    seed: Annotated[int, Field(ge=0, le=MOST_SEED)] = 0
    """Seeds every draw of an evaluation, whatever the run's own seed."""


class RunConfig(Frozen):
    """Everything that, with the code's version, determines a run."""

    name: Name = "default"
    """Part of the run directory's name; at first the presets that it was made from."""
    seed: Annotated[int, Field(ge=0, le=MOST_SEED)] = 0
    """Seeds every random draw."""
    device: Text = "auto"
    """auto, cpu, cuda, cuda:1, mps; auto takes a CUDA device where there is one."""
    data: DataConfig = DataConfig()
    """The corpus."""
    model: ModelConfig = ModelConfig()
    """The network."""
    objective: Objective = Objective()
    """What is minimised."""
    critic: CriticConfig = CriticConfig()
    """How the mutual-information term learns."""
    training: TrainingConfig = TrainingConfig()
    """The loop."""
    evaluation: EvaluationConfig = EvaluationConfig()
    """How the run is evaluated."""
