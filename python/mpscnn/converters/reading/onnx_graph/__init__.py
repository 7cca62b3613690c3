"""The graph of ONNX' operators that layers of other formats become, without a file: the ONNX reader converts each."""
