"""What docs/extending.md builds, as files that the tests run."""
