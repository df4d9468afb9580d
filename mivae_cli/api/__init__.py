"""The public API. Import it as `mivae_cli`, which loads these modules on first use."""
