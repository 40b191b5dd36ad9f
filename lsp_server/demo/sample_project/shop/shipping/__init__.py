"""Delivery of goods to customers."""
