"""The platforms that ``peers.py`` compares, each as a server of its own behind one nginx."""
