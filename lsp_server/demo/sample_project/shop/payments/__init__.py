"""Payments of customers, and refunds."""
