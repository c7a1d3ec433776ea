"""What the daemons share: signals and tasks, the HTTP port, logs, and the types of `/status`."""
