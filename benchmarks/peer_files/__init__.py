"""Write networks in the formats of other engines, so that benchmarks compare the same graphs and weights."""
