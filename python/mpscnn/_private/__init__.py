"""What the package's modules share and users do not need."""
