"""Read the eight raw files of weights of Deep MNIST."""
