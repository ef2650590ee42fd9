"""``python -m kinediff3d_core.cli``, as torchrun starts it."""

import sys

from kinediff3d_core.cli.main import main

sys.exit(main())
