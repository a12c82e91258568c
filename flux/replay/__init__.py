"""Running the past again: sandboxes, incident replay, the comparison of two executions, and bisection."""
