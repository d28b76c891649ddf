"""The one way out of this machine: to addresses that somebody named for a purpose, under one deadline, and nowhere else."""
