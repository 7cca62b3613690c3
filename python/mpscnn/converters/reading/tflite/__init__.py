"""Convert TensorFlow Lite files to networks."""
