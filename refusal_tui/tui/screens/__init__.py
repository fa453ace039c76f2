"""One screen per file, with a `.tcss` of the same name; what it shows is decided in `tui/state/`."""
