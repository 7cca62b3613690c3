"""Define the layer methods of `mpscnn.Network`: one mixin class for each family of operations."""
