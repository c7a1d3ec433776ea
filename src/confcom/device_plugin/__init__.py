"""device_plugin."""
