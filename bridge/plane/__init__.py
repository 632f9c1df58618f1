"""The media plane: every call a row, every step a column operation; arrays in, arrays out."""
