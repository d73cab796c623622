"""Networks of bonds."""
