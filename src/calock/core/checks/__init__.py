"""What is asked of one certificate alone: gate (form and key), profile (purpose), identity (which lock, whose)."""
