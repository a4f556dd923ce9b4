"""Numerical primitives: scans and convolutions, each with a plain reference that is its meaning."""
