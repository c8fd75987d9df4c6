"""What can be shrunk: networks by widths, channel groups, the narrower copy."""
