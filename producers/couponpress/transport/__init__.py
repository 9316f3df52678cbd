"""How producers reach Redis and Celery, and how services listen."""
