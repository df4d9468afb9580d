"""Files of paired samples, arrays and tables of numbers."""
