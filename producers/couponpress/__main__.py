"""`python -m couponpress` is the `couponpress` command."""

from couponpress.cli.main import main

if __name__ == "__main__":
    main()
