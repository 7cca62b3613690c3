"""Read protocol buffer messages lazily, by tables of their fields and without the package protobuf."""
