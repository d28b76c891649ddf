"""For pages written for other CA middleware: SOF_* functions and the ``synctl`` endpoint. ``docs/compat.md`` is its table."""
