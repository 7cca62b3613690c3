"""Programs, sessions, command queues, images and profiles: they run networks and kernels."""
