"""Other networks, for comparison; all take what a SymGNN takes and give what it gives."""
