"""What browser, driver and server say to each other: the only meeting place of driver and server."""
