"""`python -m showtell`."""

from showtell.cli.main import main

main()
