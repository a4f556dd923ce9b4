"""Series that ship with the package and series fetched on demand."""
