"""pandas to arrays and back: time grids, panels, windows."""
