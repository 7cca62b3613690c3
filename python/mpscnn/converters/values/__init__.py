"""Compute with the tensors of a file, by functions that the rows of all formats call."""
