"""Tasks: one file each, with its data, model and metrics."""
