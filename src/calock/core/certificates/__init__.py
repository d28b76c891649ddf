"""One certificate: its fields, its extensions together, its key, and signatures by that key."""
