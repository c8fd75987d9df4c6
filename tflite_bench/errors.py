"""What can go wrong, sorted by who can mend it."""


class UserError(Exception):
    """Something the user can mend; the message says what is wrong and what would be right."""


class InvalidModelError(UserError):
    """A file that is no TensorFlow Lite model, or one this package cannot read."""


class UnsupportedLayerError(UserError):
    """A layer whose channels cannot be followed; the message names it."""


class MeasurementError(Exception):
    """One measurement that could not be taken; the others stand."""
