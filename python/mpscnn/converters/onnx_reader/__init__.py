"""Read ONNX files."""
