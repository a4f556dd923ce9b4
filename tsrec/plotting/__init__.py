"""Matplotlib displays."""
