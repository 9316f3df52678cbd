"""What the promise costs and how well it is kept, measured; `README.md` says how, and where the figures end."""
