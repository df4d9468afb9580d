"""The frozen configuration of a run, merged from presets, files and options."""
