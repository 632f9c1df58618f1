"""Conversions of sound that a C library does row by row."""
