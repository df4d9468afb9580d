"""The training loss as a formula of distortion, rate and mutual information."""
