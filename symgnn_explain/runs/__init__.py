"""How long work is done: records, archives, files, processes, progress, threads."""
