"""How a catalog and its pictures get into the ledger."""
