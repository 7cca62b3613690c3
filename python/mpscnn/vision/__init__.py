"""From photos to inputs, and from results to classes, boxes and masks."""
