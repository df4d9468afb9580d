"""The frozen configuration of a run, and how it is resolved from presets, files and options."""
