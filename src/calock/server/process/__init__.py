"""The program: configuration, Django settings, addresses, start, workers, logs."""
