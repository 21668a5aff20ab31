"""Reproductions of published experiments, one folder or file for each."""
