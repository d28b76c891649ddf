"""Checks of one certificate alone: gate (form and key), profile (purpose) and identity (which lock, and whose)."""
