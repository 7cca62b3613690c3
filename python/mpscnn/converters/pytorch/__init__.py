"""PyTorch's state dicts as networks."""
