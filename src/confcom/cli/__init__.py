"""The `confcom` command: thin verbs over the packages below."""
