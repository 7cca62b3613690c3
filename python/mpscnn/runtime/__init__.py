"""Run networks and kernels: programs, sessions, command queues, images and profiles."""
