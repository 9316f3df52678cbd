"""The whole fleet on one machine, with a sample catalog."""
