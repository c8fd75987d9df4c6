"""A class-balanced part of Fashion-MNIST that travels with the package."""
