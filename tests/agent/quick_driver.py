"""The real driver, with workers that start in a moment."""

from __future__ import annotations

import sys

from agent.forking import fork_workers

from calock.agent import main, worker

if __name__ == "__main__":
    fork_workers(worker.main)
    sys.exit(main.main())
