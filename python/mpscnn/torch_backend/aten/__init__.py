"""ATen's operators, written as nodes of ONNX."""
