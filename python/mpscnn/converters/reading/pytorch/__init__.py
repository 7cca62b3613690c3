"""Convert PyTorch's state dicts and modules to networks."""
