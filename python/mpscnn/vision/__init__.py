"""Convert photos to inputs, and results to classes, boxes and masks."""
