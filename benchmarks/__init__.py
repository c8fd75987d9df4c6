"""What the README's and the docs' numbers come from."""
