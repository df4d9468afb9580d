"""Crash-safe files, and verified reads of untrusted files."""
