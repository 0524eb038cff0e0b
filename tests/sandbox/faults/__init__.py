"""Sandboxes that do one thing wrong each, to show that the conformance suite finds it."""
