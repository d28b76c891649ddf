"""The web frame: what a request and an answer are, which site, which language, refusals as pages and JSON."""
