"""Mutual information: bounds, critics, and the estimates made with them."""
