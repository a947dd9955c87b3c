"""Versions on git tags: what is registered, what a challenger must prove, how it lands, and its card."""
