"""Experiments: one file for each figure or table."""
