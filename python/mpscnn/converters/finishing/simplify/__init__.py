"""Replace layers that together compute one activation or one norm by one layer."""
