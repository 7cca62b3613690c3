"""What runs networks and kernels: programs, sessions, command queues, images, profiles."""
