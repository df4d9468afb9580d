"""Read paired samples from array files and tables of numbers."""
