"""The program: settings, processes, pages, commands."""
