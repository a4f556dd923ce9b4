"""Forecast error measures."""
