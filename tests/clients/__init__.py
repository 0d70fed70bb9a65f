"""Programs that people point at a gateway: SDKs, frameworks, curl."""
