"""Short ways to read texts in tests."""

from collections.abc import Iterator
from pathlib import Path

from mivae_cli.api.texts import token_store
from mivae_cli.config.data import DataConfig
from mivae_cli.data.corpus import Split, hash_shares
from mivae_cli.data.records import TextRecords
from mivae_cli.data.token_store import TokenStore
from mivae_cli.data.tokenizer import Tokenizer


def read_sentences(path: Path, config: DataConfig) -> Iterator[str]:
    return (record.text for record in TextRecords(path, config))


def encode_file(path: Path, tokenizer: Tokenizer, config: DataConfig) -> TokenStore:
    return token_store(TextRecords(path, config), tokenizer, config)


def split_of(sentence: str, valid_share: float, test_share: float) -> Split:
    """Returns the split of a sentence when shares are split off from the training text."""
    [share] = hash_shares([sentence])
    if share < test_share:
        return "test"
    return "valid" if share < test_share + valid_share else "train"
