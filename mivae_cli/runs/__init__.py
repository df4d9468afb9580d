"""Run directories and their checkpoints."""
