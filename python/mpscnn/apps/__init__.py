"""Programs over the library and its toolkit: commands, a service, videos, many machines, benchmarks, checks."""
