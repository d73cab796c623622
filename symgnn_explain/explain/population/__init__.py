"""Many atoms of one glass: computed in parallel, kept on disk, read one at a time."""
