"""Driver packages, as the download centre serves them: what is in one, and how it is built and signed.

``installer`` and ``scripts`` travel inside each package and run on users' computers, without this program.
"""
