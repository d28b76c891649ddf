"""The ``calock`` command. Each subcommand lives in a module of its own, imported only when it is called."""
