"""Other networks that predict energy barriers, for comparison; all take what a SymGNN takes and give what it gives."""
