"""Write networks as TensorFlow Lite files."""
