"""Token modules: soft practice locks, PKCS#11 and SKF. Each runs inside a worker process of its own."""
