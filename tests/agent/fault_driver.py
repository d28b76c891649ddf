"""The real driver with little patience; with ``FAULTY`` in the environment its workers are those of ``fault_worker.py``."""

from __future__ import annotations

import os
import sys

from agent import fault_worker
from agent.forking import fork_workers

from calock.agent import main, modules, worker

modules.OPERATION_SECONDS = 4.0
modules.LIST_SECONDS = 4.0
modules.BACK_OFF = (0.2, 0.4)

if __name__ == "__main__":
    fork_workers(fault_worker.main if os.environ.get("FAULTY") else worker.main)
    sys.exit(main.main())
