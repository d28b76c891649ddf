"""The real driver with little patience; with ``FAULTY`` in the environment its workers are ``fault_worker.py``."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from calock.agent import main, modules

if os.environ.get("FAULTY"):
    modules.worker_command = lambda: [sys.executable, str(Path(__file__).with_name("fault_worker.py"))]
modules.OPERATION_SECONDS = 4.0
modules.LIST_SECONDS = 4.0
modules.BACK_OFF = (0.2, 0.4)

if __name__ == "__main__":
    sys.exit(main.main())
