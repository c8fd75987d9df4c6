"""The algorithm: schedule, proposals, which filters, which proposal, the loop, what survives an interruption."""
