"""Molecules from their properties."""
