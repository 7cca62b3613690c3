"""Norms that a file writes as several layers: squares, their mean, a root and a division become one layer."""
