"""TensorFlow Lite files as networks."""
