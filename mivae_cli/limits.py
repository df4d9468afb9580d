"""The largest numbers that options and functions accept, so that a slip of the hand is refused.

Each is far above what anybody needs, and far below what no machine could compute or hold.
"""

__all__ = [
    "LEAST_PENALTY",
    "LEAST_TEMPERATURE",
    "MOST_BATCH",
    "MOST_BEAM",
    "MOST_COUNT",
    "MOST_DRAWS",
    "MOST_IW_SAMPLES",
    "MOST_KSG_NEIGHBOURS",
    "MOST_LATENT",
    "MOST_NGRAM",
    "MOST_PAIRS",
    "MOST_PENALTY",
    "MOST_PERMUTATIONS",
    "MOST_SCALE",
    "MOST_SEED",
    "MOST_SENTENCES",
    "MOST_STEPS",
    "MOST_TEMPERATURE",
    "MOST_VOCABULARY",
    "MOST_WEIGHT",
    "check_range",
]

from .errors import ConfigError

MOST_SEED = 2**63 - 1  # what torch, numpy and TOML can all hold
MOST_SENTENCES = 10_000_000  # to write; their latents are held at once
MOST_STEPS = 100_000  # sentences of an interpolation
MOST_BEAM = 1000  # hypotheses of a sentence
MOST_IW_SAMPLES = 100_000  # of the importance-weighted bound, for each sentence
MOST_DRAWS = 1000  # of z for each sentence, which are held at once
MOST_PERMUTATIONS = 100_000
MOST_PAIRS = 10_000_000  # drawn from a distribution
MOST_KSG_NEIGHBOURS = 1000
MOST_SCALE = 1000  # of a step in latent space
MOST_COUNT = 1_000_000  # epochs, and most counts of a configuration
MOST_BATCH = 65_536  # sentences
MOST_LATENT = 65_536  # units
MOST_WEIGHT = 1e6  # of a term of the objective
MOST_VOCABULARY = 10_000_000  # entries
LEAST_TEMPERATURE, MOST_TEMPERATURE = 0.001, 1000.0
MOST_NGRAM = 1000  # tokens in a row that do not come twice
LEAST_PENALTY, MOST_PENALTY = 0.01, 100.0  # of tokens already written


def check_range(name: str, value: float, least: float, most: float) -> None:
    """Raises ConfigError unless a number lies between two others, both allowed; NaN does not."""
    if not least <= value <= most:
        raise ConfigError(f"{name} is {value:,}, but must be between {least:,} and {most:,}")
