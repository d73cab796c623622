"""What an explorer shows and computes, as traits that panels observe."""
