"""Run the command line: `python -m mpscnn`."""

from mpscnn.apps.cli import main

if __name__ == "__main__":
    main()
