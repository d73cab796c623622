"""Order about each atom."""
