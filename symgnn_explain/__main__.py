"""``python -m symgnn_explain``: the command line."""

import sys

from symgnn_explain.cli import main

sys.exit(main())
