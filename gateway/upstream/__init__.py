"""The HTTP client for providers: pooled connections that push what they receive."""
