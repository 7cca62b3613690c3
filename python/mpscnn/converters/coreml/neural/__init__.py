"""Core ML's neural networks: what their layers are as operators of ONNX."""
