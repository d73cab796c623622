"""What an explorer shows and computes: small models whose traits panels observe, composed in a session."""
