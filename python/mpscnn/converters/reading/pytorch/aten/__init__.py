"""Write ATen's operators as ONNX nodes."""
