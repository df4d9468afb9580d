"""Mutual-information terms of the training loss."""
