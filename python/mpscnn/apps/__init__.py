"""Programs on top of the library and its toolkit: commands, a service, videos, Ray clusters, benchmarks, checks."""
