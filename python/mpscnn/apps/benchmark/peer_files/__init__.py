"""Write networks as files of other engines, for comparisons. ONNX has another writer, which users can call."""
