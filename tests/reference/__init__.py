"""Reference implementations of all operations in numpy float64. They are as simple as possible, but slow."""
