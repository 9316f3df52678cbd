"""`python -m couponpress` is the `couponpress` command."""

from couponpress.cli.entry import main

if __name__ == "__main__":
    main()
