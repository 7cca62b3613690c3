"""Train detectors and segmenters on photos with labelled objects or masks."""
