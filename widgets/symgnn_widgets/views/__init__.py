"""What is drawn: the structure in 3D, figures, tables, tabs."""
