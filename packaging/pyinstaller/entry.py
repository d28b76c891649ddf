"""The frozen driver's entry: ``calock-driver`` takes the arguments of ``calock agent``, with or without the word ``agent``."""

import sys

from calock.agent.main import main

if __name__ == "__main__":
    arguments = sys.argv[1:]
    # the driver starts its workers as `agent --worker`
    sys.exit(main(arguments[1:] if arguments[:1] == ["agent"] else arguments))
