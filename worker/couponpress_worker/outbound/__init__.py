"""HTTP calls to URLs that others wrote: hooks, pictures, and the system that callbacks are passed on to."""
