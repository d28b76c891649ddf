"""Verification as a whole: runs the five steps over a certificate or a login answer, and caches what does not change."""
