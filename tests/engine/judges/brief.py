"""A judge's process that ends as soon as it begins."""
