"""aesm."""
