"""What is compared with: candidates and null models."""
