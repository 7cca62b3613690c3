"""Build a graph of ONNX operators from the layers of another format, which the ONNX reader then converts."""
