"""All limits: of options and settings, and of files that mivae did not write or cannot trust.

A limit on an option catches typing errors: it is far above any useful value, and below what
would exhaust the machine. A limit on a file keeps a damaged or malicious file from exhausting
memory or time. Modules read a file limit as `limits.NAME`, so that a test can replace it here.
"""

import operator
from typing import SupportsIndex

from .errors import ConfigError, cut

# Options and settings
MAX_SEED = 2**63 - 1  # the largest integer that torch, numpy and TOML all accept
MAX_SENTENCES = 10_000_000  # sentences to generate; all their latents are in memory
MAX_INTERPOLATION_STEPS = 100_000  # sentences
MAX_BEAM = 1000  # hypotheses per sentence
MAX_IW_SAMPLES = 100_000  # samples per sentence
MAX_DRAWS = 1000  # draws of z per sentence; all are in memory
MAX_PERMUTATIONS = 100_000
MAX_REPORT_POINTS = 100_000  # sentences on the map of a report
MAX_PAIRS = 10_000_000  # pairs drawn from a sampler
MAX_KSG_NEIGHBOURS = 1000
MAX_SCALE = 1000  # multiples of the difference of two latents
MAX_SPREAD = 1000.0  # multiples of the standard deviation of a posterior
MAX_COUNT = 1_000_000  # epochs, and most other counts in a configuration
MAX_BATCH = 65_536  # sentences
MAX_LATENT = 65_536  # latent units
MAX_WIDTH = 65_536  # of a layer
MAX_LAYERS = 64
MAX_HEADS = 1024
MAX_NAME = 128  # characters
MAX_TEXT = 4096  # characters of a setting
MAX_WEIGHT = 1e6  # weight of a term of the objective
MAX_VOCABULARY = 10_000_000  # entries
MIN_TEMPERATURE, MAX_TEMPERATURE = 0.001, 1000.0
MAX_NGRAM = 1000  # tokens
MIN_PENALTY, MAX_PENALTY = 0.01, 100.0
MAX_GRID_RUNS = 1000  # runs of a sweep
MAX_KEY_PARTS = 10  # parts of a dotted key; the longest key that exists has four

# Explorer
MAX_EXPLORED = 200_000  # sentences on the map; their vectors and texts are in memory
MAX_REQUEST_BYTES = 2**16
MAX_REQUEST_CHARACTERS = 1000  # of a sentence
MAX_REQUEST_STEPS = 32  # sentences of an interpolation
MAX_REQUEST_ROWS = 100  # sentences of an answer
MAX_REQUEST_INDICES = 1000  # sentences chosen on the map
MAX_REQUEST_UNITS = 64  # latent units set by sliders
MAX_REQUEST_TEMPERATURE = 2.0
MAX_REQUEST_SPREAD = 5.0
MAX_REQUEST_COORDINATE = 1e6  # of a place on the map, and of a latent unit
MAX_REQUEST_SEED = 2**53 - 1  # the largest integer that JavaScript keeps exactly
MAX_WAITING_REQUESTS = 100  # for the model
MAX_MAP_FILE_BYTES = 2**28  # of a cached map
MAX_MAP_FILES = 20  # cached maps; the oldest are removed
MAX_EXPORT_POINTS = 5000  # sentences of an exported map with stored answers
MAX_LABEL_COLUMNS = 12
MAX_CATEGORIES = 20  # of a label with a colour each

# Configuration files
MAX_TOML_BYTES = 2**20
MAX_TOML_DOTS = 50  # dots per line; tomllib needs quadratic time and memory for a dotted key

# Text, tables and arrays
MAX_LINE = 2**24  # bytes of a line, and characters of a table row, with line endings
MAX_JSON_ARRAY_BYTES = 2**27  # bytes of a file that is one JSON array, all of it in memory
MAX_CORPUS_FILES = 10_000  # training texts of a corpus
MAX_CORPUS_LINES = 2**32 - 1  # line numbers are stored in four bytes
MAX_UNPACKED_RATIO = 100  # unpacked bytes per packed byte of a gzip or zip file ...
SMALL_UNPACKED_BYTES = 2**26  # ... that unpacks to more than this
MAX_NPY_HEADER_BYTES = 10_000  # numpy itself parses no longer header
MAX_TOKENIZER_BYTES = 2**26

# Files of a run
MAX_DOCUMENT_BYTES = 2**24  # bytes of a sealed JSON document
MAX_LOCK_BYTES = 4096
MAX_MANIFEST_FILES = 1000  # files that a manifest may list
MAX_FILE_BYTES = {".json": 2**26, ".safetensors": 2**38, ".npy": 2**42, ".tokens": 2**42}
MAX_OTHER_FILE_BYTES = 2**30  # bytes of a file with another extension
MAX_SPARSE_RATIO = 64  # bytes per byte on the disk of a file with holes ...
SMALL_FILE_BYTES = 2**26  # ... that is larger than this
MAX_FOLDER_NAMES = 1000  # folder entries compared with a misspelt name of a run
MAX_FOLDER_DEPTH = 20  # folder levels that are searched for runs
MAX_TRAINING_STEPS = 2**53  # the largest count that a float represents exactly
MAX_RESUMED_STEPS = MAX_TRAINING_STEPS // 2  # leaves room for the steps after a resume
MAX_BATCH_SIZE_CHANGES = 1000  # changes of the batch size within one epoch
MAX_METRICS_BYTES = 2**27  # bytes of metrics.jsonl
MAX_METRICS_LINE = 2**22  # bytes; a skipped batch names up to 65,536 sentences
MAX_METRICS_RECORDS = 1_000_000  # steps and validations of a metrics log, all in memory
MAX_LOGGED_RATES = 256  # latent units whose rates a metrics log has
MAX_EVALUATION_BYTES = 2**23  # bytes of eval.json: half of a document
MAX_SENTENCE_VALUES_BYTES = 2**30  # bytes of a file of figures per sentence, all in memory
MAX_RECORD_COUNT = 2**63 - 1  # an integer of an evaluation record, such as a seed
MAX_RECORD_VALUE = 1e300  # a float of an evaluation record; sums and squares must stay finite
MAX_RECORD_DEPTH = 10  # nesting of an evaluation record; mivae writes four levels
MAX_SUMMARY_VALUE = 1e100  # a float that a summary of runs shows
MAX_SUMMARY_PAIRS = 1e9  # pairs behind an estimate that a summary of runs shows


def check_range(name: str, value: float, low: float, high: float) -> None:
    """Raises ConfigError unless low <= value <= high; NaN is rejected too."""
    try:
        inside = bool(low <= value <= high)
    except (TypeError, ValueError) as error:  # a string, None, an array
        raise ConfigError(f"{name} is {cut(repr(value))}, but must be a number") from error
    if not inside:
        raise ConfigError(f"{name} is {value:,}, but must be between {low:,} and {high:,}")


def check_count(name: str, value: SupportsIndex, low: int, high: int) -> int:
    """Returns an integer (also of NumPy) as an `int`; raises ConfigError outside low to high."""
    try:
        if isinstance(value, bool):
            raise TypeError
        count = operator.index(value)
    except TypeError as error:
        raise ConfigError(f"{name} is {cut(repr(value))}, but must be an integer") from error
    check_range(name, count, low, high)
    return count


def check_seed(seed: SupportsIndex) -> int:
    """Returns a seed as an `int`; raises ConfigError unless it is from 0 to 2**63 - 1."""
    return check_count("the seed", seed, 0, MAX_SEED)
