"""A package, so that pytest can keep one browser open for all of it (scope ``package``)."""
