"""What an order costs: discounts, shipping and taxes."""
