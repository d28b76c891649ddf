"""Small tools that know nothing of locks, accounts or sites."""
