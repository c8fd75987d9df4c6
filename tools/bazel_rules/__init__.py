"""What the BUILD files and WORKSPACE load; the rules of others for Bazels that cannot have them."""
