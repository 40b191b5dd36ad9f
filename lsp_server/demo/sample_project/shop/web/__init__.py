"""The shop's pages, as a WSGI application."""
