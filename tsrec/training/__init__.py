"""One training loop for every module."""
