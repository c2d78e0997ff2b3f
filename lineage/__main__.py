"""`python -m lineage` is the same as `lineage`."""

from lineage.cli import main

main()
