"""Networks as files of other engines, for comparisons with them. ONNX has a writer of its own, for users, too."""
