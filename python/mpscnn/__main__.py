"""`python -m mpscnn`: the command line."""

from mpscnn.cli import main

if __name__ == "__main__":
    main()
