"""Experiment tracking: curves and texts of a training for TensorBoard, wandb and trackio."""
