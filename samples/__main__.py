"""``python -m samples``."""

import sys

from samples.commands import main

sys.exit(main())
