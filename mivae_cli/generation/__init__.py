"""Generation of sentences from latents, and evaluation of generated text."""
