"""The add-on as a whole: the custom resource, the objects made of it, and what may run beside what."""
