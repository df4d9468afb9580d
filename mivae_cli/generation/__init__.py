"""Text from latents, and how good that text is."""
