"""Every code."""
