"""``python -m calock.packages``: what ``calock packages`` does."""

import sys

from calock.packages.command import main

sys.exit(main(sys.argv[1:]))
