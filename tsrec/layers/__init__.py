"""Torch modules, one file per paper."""
