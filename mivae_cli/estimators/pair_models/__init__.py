"""Density models of pairs: Gaussian and Student-t copulas and Gaussian mixtures."""
