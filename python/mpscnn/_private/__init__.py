"""Helpers that modules of the package share. Users do not need them."""
