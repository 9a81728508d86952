"""`python -m cmeta` is the command `cmeta`."""

from cmeta.cli.app import main

if __name__ == "__main__":
    main()
