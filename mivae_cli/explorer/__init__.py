"""An interactive map of a corpus in latent space, served to a browser on the same machine."""
