"""Read Keras files without Keras: .h5 of Keras 1 to 3, and .keras."""
