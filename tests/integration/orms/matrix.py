# SPDX-License-Identifier: PostgreSQL
"""What the Python programs of the matrix have in common; ../orm_matrix.py says what a page is."""
import json
import os
import sys

N = int(os.environ.get("ORM_N", "60"))  # rows of a list
STEP = 20  # rows of a page that begins where the one before ended
PORT = int(os.environ["ORM_PORT"])
DATABASE = "matrix"


def serve(pages, version):
    """A page for each line of input, which is its name."""
    print(json.dumps({"version": version, "pages": sorted(pages)}), flush=True)
    for line in sys.stdin:
        print(json.dumps({"page": pages[line.strip()]()}, default=str), flush=True)
