"""Energy barriers from first principles: potentials, saddle searches, and glasses made by melting and quenching."""
