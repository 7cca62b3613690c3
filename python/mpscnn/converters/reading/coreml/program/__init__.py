"""Convert the operations of Core ML's programs (MIL) to ONNX operators."""
