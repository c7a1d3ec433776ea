"""The only code that talks to the API server: objects go in and come out as plain dictionaries."""
