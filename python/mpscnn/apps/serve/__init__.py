"""The HTTP service of `mpscnn serve`.

`mpscnn.apps.serve.packages.require_packages` names missing packages. The other modules import FastAPI and uvicorn,
which
`pip install "mpscnn[serve]"` brings.
"""
