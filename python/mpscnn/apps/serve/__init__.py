"""The HTTP service of `mpscnn serve`.

The modules need FastAPI and uvicorn, which the extra `serve` installs. Call
`mpscnn.apps.serve.packages.require_packages` first: its error names missing packages.
"""
