"""Measure how well a model does on labelled photos."""
