"""`python -m mpscnn`: the command line."""

from mpscnn.apps.cli import main

if __name__ == "__main__":
    main()
