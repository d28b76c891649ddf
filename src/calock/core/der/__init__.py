"""Reading DER: one bounded reader, and what is built on it: layouts, names, strings, extensions."""
