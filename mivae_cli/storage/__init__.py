"""Files that outlive a crash, and that are read only as they were written."""
