"""The control API: calls placed, steered and watched over HTTP."""
