"""``python -m calock.agent``: the driver without the rest of the ``calock`` command."""

import sys

from calock.agent.main import main

sys.exit(main())
