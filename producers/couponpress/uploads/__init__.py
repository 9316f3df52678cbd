"""Uploads a catalog and its pictures into the ledger."""
