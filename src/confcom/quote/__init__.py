"""quote."""
