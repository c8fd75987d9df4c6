"""The project's notebooks, and what runs them."""
