"""`python -m couponpress` is the `couponpress` command."""

from couponpress.cli import main

if __name__ == "__main__":
    main()
