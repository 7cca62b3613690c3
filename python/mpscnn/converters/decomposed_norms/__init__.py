"""Merge norms that a file writes as several layers (squares, their mean, a root, a division) into one layer."""
