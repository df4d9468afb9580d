"""Conditional mutual information I(x; z | w) of any three variables, and a test that it is 0."""
