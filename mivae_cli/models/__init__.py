"""The networks: encoder, latent, decoder, and the VAE that holds them."""
