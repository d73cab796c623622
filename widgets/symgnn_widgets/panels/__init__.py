"""The panels of the explorer: each observes the session's traits and sets them, and knows no other panel."""
