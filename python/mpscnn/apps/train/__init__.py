"""Train models on folders of photos: `mpscnn.train` and what `mpscnn train` uses (docs/training.md)."""
