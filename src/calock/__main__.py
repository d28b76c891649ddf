"""``python -m calock``: the ``calock`` command, where no program of that name was installed."""

import sys

from calock.cli import main

sys.exit(main())
