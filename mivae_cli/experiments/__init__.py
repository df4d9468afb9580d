"""Work on existing runs: evaluation, status, comparison, verification and export."""
