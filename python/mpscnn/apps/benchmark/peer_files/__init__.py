"""Write networks in the formats of other engines, for benchmarks. ONNX files come from the public ONNX writer."""
