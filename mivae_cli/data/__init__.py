"""Text files, tokenizers, prepared corpora and batches of token ids."""
