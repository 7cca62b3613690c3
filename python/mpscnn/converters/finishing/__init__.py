"""Finish a network that was read: simplify it, name its layers, and set its integers, photos, labels and scores."""
