"""Convert the layers of Core ML's neural networks to ONNX operators."""
