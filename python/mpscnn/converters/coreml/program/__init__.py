"""Core ML's programs (MIL): what their operations are as operators of ONNX."""
