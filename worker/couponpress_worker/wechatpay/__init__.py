"""Everything that the platform is: signed HTTP calls, what its answers mean, when to try again."""
