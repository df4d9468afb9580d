"""The one description of a run: read from TOML, stored as JSON beside the weights.

Nothing here imports torch, so the command line can offer every choice without paying for
it, and a run's configuration can be read on any machine.
"""

__all__ = ["EvaluationConfig", "RunConfig"]

from typing import Annotated

from pydantic import Field

from ..limits import MAX_IW_SAMPLES, MAX_SEED
from ..objectives.objective import Objective
from ..schema import Frozen, Name, Text
from .data import DataConfig
from .model import ModelConfig
from .training import CriticConfig, TrainingConfig


class EvaluationConfig(Frozen):
    """The protocol by which train, eval and sweep evaluate the run; figures are its own."""

    iw_samples: Annotated[int, Field(ge=1, le=MAX_IW_SAMPLES)] = 100
    """Samples of z per sentence for the importance-weighted bound; 500 in published tables."""
    seed: Annotated[int, Field(ge=0, le=MAX_SEED)] = 0
    """Seeds every draw of an evaluation, whatever the run's own seed."""


class RunConfig(Frozen):
    """Everything that, with the code's version, determines a run."""

    name: Name = "default"
    """Part of the run directory's name; at first the presets that it was made from."""
    seed: Annotated[int, Field(ge=0, le=MAX_SEED)] = 0
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
