"""What is important to explained atoms."""
