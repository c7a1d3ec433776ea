"""What this machine has of SGX, seen under roots that can be moved, and the quote slots that both daemons share."""
