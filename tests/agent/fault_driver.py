"""The real driver, but its workers are ``fault_worker.py`` and its patience is short."""

from __future__ import annotations

import sys
from pathlib import Path

from calock.agent import main, modules

modules.worker_command = lambda: [sys.executable, str(Path(__file__).with_name("fault_worker.py"))]
modules.OPERATION_SECONDS = 4.0
modules.LIST_SECONDS = 4.0
modules.BACK_OFF = (0.2, 0.4)

if __name__ == "__main__":
    sys.exit(main.main())
