"""Mutual information of discrete variables, of labels and numbers, and of mixed variables."""
