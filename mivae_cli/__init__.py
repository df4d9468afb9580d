"""Text variational autoencoders that are held to carry information, and the measure of it."""

__all__ = ["__version__"]

__version__ = "0.1.0"
